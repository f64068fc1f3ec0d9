"""Wrong uses of the scripts, and the error message of each."""

import tiny

P = '--preset=cvae_digits'
NEW = '--workdir={new}'
RUN = '--workdir={run}'
# name -> (script, arguments, text in the error line). {run} is a trained run,
# {new} a path that does not exist; `places` makes the other folders.
CASES = {
    # train.py
    'no preset': ('train', [NEW], '--preset is missing'),
    'no workdir': ('train', [P], '--workdir is missing'),
    **{
        f'{flag} of {script} is an address': (
            script,
            [f'--{flag}={address}://bucket/x'],
            f"'{address}://bucket/x' is an address",
        )
        for script, flag, address in (
            ('train', 'workdir', 's3'),
            ('train', 'data_dir', 's3'),
            ('train', 'init_from', 'hdfs'),
            ('train', 'cache_dir', 'S3'),
            ('evaluate', 'workdir', 's3'),
            ('evaluate', 'model_dir', 's3'),
            ('evaluate', 'record', 's3'),
            ('evaluate', 'features', 's3'),
            ('sample', 'output', 's3'),
            ('export', 'model_dir', 'file'),
            ('serve', 'model_dir', 's3'),
            ('benchmark', 'output', 's3'),
            ('publish_pretrained', 'results', 's3'),
            ('compare', 'record', 's3'),
            ('lecture', 'output', 's3'),
            ('two_lines', 'output', 's3'),
        )
    },
    **{
        f'{kind} at an address': (
            'train',
            [f'--preset={preset}', NEW, f'--dataset={kind}:s3://bucket/x'],
            "'s3://bucket/x' is an address",
        )
        for kind, preset in (
            ('folder', 'cvae_digits'),
            ('palette', 'pixelrnn_palette'),
            ('lines', 'text_vae_numerals'),
            ('text', 'text_vae_numerals'),
        )
    },
    'set at an address': (
        'train',
        [P, NEW, '--set=dataset=s3://bucket/x'],
        "'s3://bucket/x' is an address",
    ),
    'another set at an address': (
        'train',
        [P, NEW, '--dataset=https://bucket/x'],
        "'https://bucket/x' is an address",
    ),
    'load an address': ('load_export', ['s3://bucket/x'], 'no exported model'),
    'workdir not in UTF-8': (
        'train',
        [P, '--workdir={new}\udce9'],
        'is not valid UTF-8',
    ),
    'model_dir not in UTF-8': (
        'export',
        [RUN, '--model_dir={new}\udce9'],
        'is not valid UTF-8',
    ),
    'served folder not in UTF-8': (
        'serve',
        ['--model_dir={new}\udce9'],
        'is not valid UTF-8',
    ),
    'data_dir not in UTF-8': (
        'train',
        [P, NEW, '--data_dir={new}\udce9'],
        'is not valid UTF-8',
    ),
    'workdir too long': (
        'train',
        [P, '--workdir=' + 300 * 'x'],
        'cannot be used (File name too long)',
    ),
    'workdir almost too long': (
        'train',
        [P, '--workdir={new}' + 16 * ('/' + 246 * 'x')],
        'cannot be used (File name too long)',
    ),
    'output too long': ('sample', [RUN, '--output=' + 300 * 'x'], 'too long'),
    'dataset too long': (
        'train',
        [P, NEW, '--dataset=folder:' + 300 * 'x'],
        'cannot be used',
    ),
    'workdir in a loop of links': (
        'train',
        [P, '--workdir={loop}/run'],
        'cannot be used',
    ),
    'workdir below a file': (
        'train',
        [P, '--workdir={file}/run'],
        'cannot be written',
    ),
    'cache below a file': (
        'evaluate',
        [RUN, '--metrics=fidelity', '--limit=20', '--cache_dir={file}/x'],
        'pass another --cache_dir',
    ),
    'set that cannot be prepared': (
        'train',
        [P, NEW, '--dataset=mnist', '--data_dir={file}'],
        '--data_dir',
    ),
    'unknown preset': ('train', ['--preset=vea', NEW], 'did you mean vae'),
    'unknown flag': ('train', [P, NEW, '--epochs=3'], 'epochs'),
    'stray argument': ('train', [P, NEW, 'steps=3'], "'steps=3'"),
    'unknown field': ('train', [P, NEW, '--set=depth=3'], "'depth'"),
    'no value': ('train', [P, NEW, '--set=steps'], 'field=value'),
    'not an int': ('train', [P, NEW, '--set=steps=ten'], 'steps=ten'),
    'not a float': (
        'train',
        [P, NEW, '--set=learning_rate=fast'],
        'learning_rate=fast',
    ),
    'not a bool': (
        'train',
        [P, NEW, '--set=conditional=maybe'],
        'conditional=maybe',
    ),
    'not a pair': ('train', [P, NEW, '--set=image_size=8'], 'image_size=8'),
    'batch 0': ('train', [P, NEW, '--set=batch_size=0'], 'batch_size is 0'),
    'steps 0': ('train', [P, NEW, '--set=steps=0'], 'steps is 0'),
    'log_every 0': ('train', [P, NEW, '--set=log_every=0'], 'log_every is 0'),
    'rate 0': ('train', [P, NEW, '--set=learning_rate=0'], 'rate is 0.0'),
    'rate inf': ('train', [P, NEW, '--set=learning_rate=inf'], 'rate is inf'),
    'rate huge': ('train', [P, NEW, '--set=learning_rate=1e39'], '1e+39'),
    'batch huge': (
        'train',
        [P, NEW, '--set=batch_size=2147483648'],
        'batch_size is 2147483648',
    ),
    'filters huge': (
        'train',
        [P, NEW, '--set=filters=1,99999999999999999999'],
        'use less than 2^31',
    ),
    'nobody': ('train', [P, '--workdir=~nouser/x', '--set=steps=0'], 'steps'),
    'replicas': ('train', [P, NEW, '--replicas=100000'], '256'),
    'evaluated batch huge': (
        'evaluate',
        [RUN, '--batch_size=99999999999999999999'],
        'batch_size',
    ),
    'seed huge': ('sample', [RUN, '--seed=9223372036854775807'], 'seed'),
    'count huge': ('sample', [RUN, '--count=99999999999'], 'count'),
    'pretrained without a record': (
        'publish_pretrained',
        [RUN, '--results={empty}'],
        'there is no record',
    ),
    'pretrained of another size': (
        'publish_pretrained',
        [RUN],
        'record a complete run of preset',
    ),
    'draw a pretrained model into its folder': (
        'sample',
        ['--model_dir=gmm_two_moons'],
        'pass --output=FILE.png',
    ),
    'measure no export': (
        'evaluate',
        ['--model_dir=nope'],
        'no trained model',
    ),
    'measure both': (
        'evaluate',
        [RUN, '--model_dir={empty}'],
        'leave --workdir and --record out',
    ),
    'serve nothing': ('serve', [], '--model_dir is missing'),
    'serve no folder': ('serve', ['--model_dir={new}'], 'is no folder'),
    'serve a wrong label': (
        'serve',
        ['--model_dir={empty}', '--version_label=cvae:stable'],
        'is not MODEL:LABEL=NUMBER',
    ),
    'serve elsewhere': (
        'serve',
        ['--model_dir={empty}', '--host=203.0.113.9'],
        'cannot listen on 203.0.113.9',
    ),
    'nothing to load': ('load_export', [], 'usage'),
    'load nothing': ('load_export', ['{empty}'], 'no exported model'),
    'load a pattern': ('load_export', ['{pattern}'], 'as a pattern'),
    'load damaged': ('load_export', ['{broken}'], 'export it again'),
    'beta 1': ('train', [P, NEW, '--set=beta_1=1'], 'beta_1 is 1.0'),
    'latent 0': ('train', [P, NEW, '--set=latent_size=0'], 'size is 0'),
    'filters 0': ('train', [P, NEW, '--set=filters=8,0'], 'filters is'),
    'schedule': ('train', [P, NEW, '--set=schedule=step'], "'step'"),
    'likelihood': ('train', [P, NEW, '--set=likelihood=l2'], "'l2'"),
    'kl': ('train', [P, NEW, '--set=kl=exact'], "'exact'"),
    'cell': (
        'train',
        ['--preset=pixelrnn_digits', NEW, '--set=cell=rnn'],
        "'rnn'",
    ),
    'kernel even': (
        'train',
        ['--preset=pixelrnn_digits', NEW, '--set=kernel_size=4'],
        'kernel_size is 4',
    ),
    'gated lstm': (
        'train',
        ['--preset=pixelrnn_digits', NEW, '--set=gated=true'],
        'gated is for cell=pixelcnn',
    ),
    'too few units': (
        'train',
        ['--preset=pixelrnn_digits', NEW, '--set=units=0'],
        'units is 0',
    ),
    'ema 1': ('train', [P, NEW, '--set=ema=1'], 'ema is 1.0'),
    'no palette': (
        'train',
        ['--preset=pixelrnn_palette', NEW, '--dataset=palette:{new}'],
        'pixel_color.txt',
    ),
    'palette resized': (
        'train',
        ['--preset=pixelrnn_palette', NEW, '--set=image_size=8,8'],
        'image_size (8, 8)',
    ),
    'audio_length 0': (
        'train',
        ['--preset=wavenet_tones', NEW, '--set=audio_length=0'],
        'audio_length is 0',
    ),
    'embedding 0': (
        'train',
        ['--preset=pixelrnn_palette', NEW, '--set=embedding_size=0'],
        'embedding_size is 0',
    ),
    'sounds of a folder': (
        'train',
        ['--preset=wavenet_tones', NEW, '--dataset=folder:{flat}'],
        'is one of images',
    ),
    'sounds of images': (
        'train',
        ['--preset=wavenet_tones', NEW, '--dataset=digits'],
        "'digits' has no audio",
    ),
    'images of sounds': (
        'train',
        [P, NEW, '--dataset=tones'],
        "'tones' has no image",
    ),
    'no binarization of sounds': (
        'train',
        ['--preset=wavenet_tones', NEW, '--set=binarization=dynamic'],
        "no field 'binarization'",
    ),
    'no tries': ('sample', [RUN, '--tries=0'], 'tries'),
    'no such section': (
        'benchmark',
        ['--section=speed'],
        "section 'speed'",
    ),
    'more channels than units': (
        'train',
        ['--preset=pixelrnn_digits', NEW, '--dataset=folder:{colour}']
        + ['--set=units=2', '--set=conditional=false'],
        'units is 2',
    ),
    'shades of a palette': (
        'train',
        [P, NEW, '--dataset=palette:{palette}', '--set=conditional=false'],
        'name colours by index',
    ),
    'levels of a palette': (
        'train',
        ['--preset=pixelrnn_palette', NEW, '--set=levels=7']
        + ['--dataset=palette:{palette}'],
        'levels is 7 and the palette has 3 colours',
    ),
    'no such contender': (
        'benchmark',
        ['--contender=torch'],
        "contender 'torch'",
    ),
    'pixel dropout 1': (
        'train',
        ['--preset=pixelrnn_digits', NEW, '--set=dropout=1'],
        'dropout is 1.0',
    ),
    'levels 1': (
        'train',
        ['--preset=pixelrnn_digits', NEW, '--set=levels=1'],
        'levels is 1',
    ),
    'generator loss': (
        'train',
        ['--preset=dcgan_digits', NEW, '--set=loss=l2'],
        "unknown loss 'l2'",
    ),
    'dropout 1': (
        'train',
        ['--preset=dcgan_digits', NEW, '--set=dropout=1'],
        'dropout is 1.0',
    ),
    'convolutions of points': (
        'train',
        ['--preset=gan_ring', NEW, '--set=network=dcgan'],
        'use --set network=mlp',
    ),
    'modulation without channels': (
        'train',
        ['--preset=gan_ring', NEW, '--set=self_modulation=true'],
        'self_modulation scales channels',
    ),
    'packs with labels': (
        'train',
        ['--preset=dcgan_digits', NEW, '--set=pack=2'],
        'd judges each example with its label: use --set pack=1',
    ),
    'packs of completions': (
        'train',
        ['--preset=inpainting_gan_digits', NEW, '--set=pack=2'],
        'd judges each image with its visible part',
    ),
    'packs of reconstructions': (
        'train',
        ['--preset=vae_gan', '--dataset=ring', NEW, '--set=pack=2'],
        'the error is that of one example',
    ),
    'labels of no class': (
        'train',
        ['--preset=semi_supervised_gan_mnist', NEW, '--dataset=digits']
        + ['--set=num_labels=11'],
        'num_labels is 11',
    ),
    'too many labels': (
        'train',
        ['--preset=semi_supervised_gan_mnist', NEW, '--dataset=digits']
        + ['--set=num_labels=5000'],
        'use at most',
    ),
    'labels of a palette': (
        'train',
        ['--preset=semi_supervised_gan_mnist', NEW, '--set=num_labels=2']
        + ['--dataset=palette:{palette}'],
        'use',
    ),
    'classifier without labels': (
        'train',
        ['--preset=classifier_digits', NEW, '--dataset=folder:{flat}'],
        'needs two classes or more',
    ),
    'convolutions without channels': (
        'train',
        ['--preset=deep_ae_digits', NEW, '--set=network=convolutional']
        + ['--set=units=none'],
        '--set units=32,64',
    ),
    'cross-entropy of no probability': (
        'train',
        ['--preset=deep_ae_digits', NEW, '--set=error=cross_entropy']
        + ['--set=output=linear'],
        '--set output=sigmoid',
    ),
    'more components than numbers': (
        'train',
        ['--preset=pca_digits', NEW, '--set=latent_size=65'],
        'has 64 numbers',
    ),
    'more axes than examples have': (
        'train',
        ['--preset=pca_digits', NEW, '--set=latent_size=10']
        + ['--dataset=folder:{flat}'],
        '10 training examples have 9 principal axes',
    ),
    'more components than examples': (
        'components',
        [NEW, '--preset=gmm_digits', '--most=11'] + ['--dataset=folder:{flat}'],
        'the number of training examples is 10',
    ),
    'measure few while training': (
        'train',
        ['--preset=dcgan_digits', NEW, '--metrics=fidelity']
        + ['--set=conditional=false', '--dataset=folder:{flat}'],
        'pass --features=PATH',
    ),
    'noise below nothing': (
        'train',
        ['--preset=deep_ae_digits', NEW, '--set=code_noise=-1'],
        'code_noise is -1.0',
    ),
    'free bits of several draws': (
        'train',
        [P, NEW, '--set=importance_samples=5', '--set=free_bits=0.1'],
        '--set free_bits=0.0',
    ),
    'an estimated rate of several draws': (
        'train',
        [P, NEW, '--set=importance_samples=5', '--set=kl=monte_carlo'],
        '--set kl=analytic',
    ),
    'a VAE of binary points': (
        'train',
        ['--preset=vae_two_moons', NEW, '--set=likelihood=bernoulli'],
        'and points have none',
    ),
    'a deviation of binary pixels': (
        'train',
        [P, NEW, '--set=likelihood=bernoulli', '--set=deviation=decoded']
        + ['--set=binarization=dynamic'],
        'deviation=decoded has no effect',
    ),
    'a deviation of nothing': (
        'train',
        [P, NEW, '--set=deviation=0'],
        'deviation is 0.0',
    ),
    'a normal VAE of colours by index': (
        'train',
        [P, NEW, '--dataset=palette:{palette}', '--set=conditional=false']
        + ['--set=filters=4'],
        '--set likelihood=categorical',
    ),
    'a VAE of points with convolutions': (
        'train',
        ['--preset=vae_two_moons', NEW, '--set=units=none'],
        '--set units=64,64',
    ),
    'grey RBM': (
        'train',
        ['--preset=rbm_digits', NEW, '--set=binarization=none'],
        'binarization=dynamic',
    ),
    'profile of what': (
        'train',
        [P, NEW, '--profile_steps=20,10'],
        'is not FIRST,LAST',
    ),
    'begin with nothing': (
        'train',
        [P, NEW, '--init_from={empty}'],
        'holds neither a trained run nor an export',
    ),
    'no variance': (
        'train',
        ['--preset=gmm_digits', NEW, '--set=variance_floor=0'],
        'variance_floor is 0.0',
    ),
    'no lines': (
        'train',
        ['--preset=text_vae_numerals', NEW, '--dataset=lines:{new}'],
        'cannot be read',
    ),
    'text of a picture': (
        'train',
        ['--preset=text_vae_numerals', NEW, '--dataset=digits'],
        'is no text',
    ),
    'components of no mixture': (
        'components',
        [NEW, '--preset=cvae_digits'],
        'is no mixture',
    ),
    'unknown demonstration': (
        'lecture',
        [NEW, '--output={new}', '--only=moon'],
        "unknown demonstration 'moon'",
    ),
    'binarization': ('train', [P, NEW, '--set=binarization=hard'], "'hard'"),
    'static on grey': (
        'train',
        [P, NEW, '--set=binarization=static'],
        'binarized_mnist',
    ),
    'bernoulli on grey': (
        'train',
        [P, NEW, '--set=likelihood=bernoulli'],
        'binarization=dynamic',
    ),
    'unknown set': ('train', [P, NEW, '--dataset=minst'], "'minst'"),
    'set without network': (
        'train',
        [P, NEW, '--dataset=cifar10', '--data_dir={empty}'],
        'tfds build cifar10',
    ),
    'set without images': ('train', [P, NEW, '--dataset=iris'], "'iris'"),
    'no folder': ('train', [P, NEW, '--dataset=folder:{new}'], 'not exist'),
    'empty folder': (
        'train',
        [P, NEW, '--dataset=folder:{empty}'],
        'holds no images',
    ),
    'corrupt image': (
        'train',
        [P, NEW, '--dataset=folder:{corrupt}'],
        '1.png',
    ),
    'images of two sizes': (
        'train',
        [P, NEW, '--dataset=folder:{sizes}'],
        '--set image_size=',
    ),
    'unknown version': ('train', [P, NEW, '--dataset=mnist:9.9.9'], '9.9.9'),
    'classes in train alone': (
        'train',
        [P, NEW, '--dataset=folder:{half}'],
        'loose images',
    ),
    'one image': ('train', [P, NEW, '--dataset=folder:{one}'], 'too few'),
    'conditional without labels': (
        'train',
        [P, NEW, '--dataset=folder:{flat}'],
        'conditional=false',
    ),
    'unwritable workdir': (
        'train',
        [P, '--workdir=/proc/tfgen'],
        'cannot be written',
    ),
    'workdir is a file': ('train', [P, '--workdir={file}'], 'is a file'),
    'workdir is not empty': ('train', [P, '--workdir={flat}'], 'no run'),
    'workdir of another preset': (
        'train',
        ['--preset=dcgan_digits', RUN],
        "belongs to preset 'cvae_digits'",
    ),
    'workdir of other settings': (
        'train',
        [P, RUN, *[f'--set={s}' for s in tiny.settings('cvae')]]
        + ['--set=latent_size=9'],
        'latent_size=3, not 9',
    ),
    'longer cosine': (
        'train',
        [P, RUN, *[f'--set={s}' for s in tiny.settings('cvae')]]
        + ['--set=steps=99'],
        'its cosine schedule depends on them',
    ),
    'run of an unknown model': (
        'evaluate',
        ['--workdir={unknown}'],
        "names the model 'OldVAE'",
    ),
    'run of another version': (
        'evaluate',
        ['--workdir={newer}'],
        'does not fit this version',
    ),
    'other data': (
        'train',
        [
            P,
            '--workdir={moved}',
            *[f'--set={s}' for s in tiny.settings('cvae')],
        ],
        'was trained on other data',
    ),
    'export to a pattern': (
        'export',
        [RUN, '--model_dir={new}[1]'],
        'reads as a pattern',
    ),
    'other seed': (
        'train',
        [P, RUN, *[f'--set={s}' for s in tiny.settings('cvae')], '--seed=1'],
        'seed=0, not 1',
    ),
    'binary config': ('train', [P, '--workdir={binary}'], 'config.json'),
    'config of nonsense': ('evaluate', ['--workdir={odd}'], 'incomplete'),
    'damaged config': ('train', [P, '--workdir={damaged}'], 'config.json'),
    'unknown strategy': ('train', [P, NEW, '--strategy=two'], "'two'"),
    'no TF_CONFIG': ('train', [P, NEW, '--strategy=multiworker'], 'TF_CONFIG'),
    'no TPU': ('train', [P, NEW, '--strategy=tpu'], 'no TPU'),
    'batch not divisible': (
        'train',
        [P, NEW, '--strategy=mirrored', '--set=batch_size=3'],
        'batch_size=4',
    ),
    'jit on over replicas': (
        'train',
        ['--preset=dcgan_digits', NEW, '--strategy=mirrored', '--jit=on'],
        '--jit=auto',
    ),
    'unknown jit': ('train', [P, NEW, '--jit=yes'], "'yes'"),
    'unknown precision': ('train', [P, NEW, '--precision=half'], "'half'"),
    'negative seed': ('train', [P, NEW, '--seed=-1'], '-1'),
    # evaluate.py
    'evaluate changed data': (
        'evaluate',
        ['--workdir={moved}'],
        'has changed since the training',
    ),
    'evaluate limit 0': ('evaluate', [RUN, '--limit=0'], 'limit is 0'),
    'evaluate nothing': ('evaluate', [NEW], 'is no workdir'),
    'evaluate untrained': ('evaluate', ['--workdir={untrained}'], 'train it'),
    'unknown split': ('evaluate', [RUN, '--split=dev'], "'dev'"),
    'no samples': ('evaluate', [RUN, '--num_samples=0'], 'num_samples is 0'),
    'batch of 0': ('evaluate', [RUN, '--batch_size=0'], 'batch_size is 0'),
    'checkpoint of another shape': (
        'evaluate',
        ['--workdir={reshaped}'],
        'belongs to another model',
    ),
    # sample.py
    'sample from nothing': ('sample', [], 'either --workdir or --model_dir'),
    'unknown kind': ('sample', [RUN, '--kind=movie'], "'movie'"),
    'negative sample seed': ('sample', [RUN, '--seed=-1'], '-1'),
    'label out of range': ('sample', [RUN, '--labels=3,10'], 'use 0 to 9'),
    'label not a number': ('sample', [RUN, '--labels=cat'], 'whole numbers'),
    'two kinds in one file': (
        'sample',
        [RUN, '--kind=samples,styles', '--output={new}.png'],
        '--output is one file',
    ),
    'count 0': ('sample', [RUN, '--count=0'], 'count is 0'),
    'no completion': ('sample', [RUN, '--kind=completion'], 'cannot draw'),
    'attributes of a model that is told': (
        'sample',
        [RUN, '--kind=attributes'],
        'an unconditional model',
    ),
    'unwritable output': (
        'sample',
        [RUN, '--output=/proc/x.png'],
        'cannot be written',
    ),
    'not an export': ('sample', ['--model_dir={empty}'], 'no exported model'),
    'damaged export': ('sample', ['--model_dir={broken}'], 'export it again'),
    # export.py
    'export nowhere': ('export', [RUN], '--model_dir is missing'),
    'unwritable export': (
        'export',
        [RUN, '--model_dir=/proc/x'],
        'cannot be written',
    ),
    'export untrained': (
        'export',
        ['--workdir={untrained}', '--model_dir={new}'],
        'train it',
    ),
    'unknown metric': (
        'evaluate',
        [RUN, '--metrics=fid', '--limit=2'],
        "metric 'fid' does not exist: use ",
    ),
    'record of another run': (
        'evaluate',
        [RUN, '--record={new}', '--limit=2', '--metrics=bounds'],
        'record a complete run of preset',
    ),
    'no data set': ('train', [P, NEW, '--dataset='], "data set ''"),
    'points for a model of images': (
        'train',
        ['--preset=deep_ae_digits', NEW, '--dataset=ring'],
        'has points, and AutoEncoder models images',
    ),
    'images for a model of points': (
        'train',
        ['--preset=gaussian_two_moons', NEW, '--dataset=mnist'],
        'is no toy distribution',
    ),
    'a receptive field of a VAE': (
        'sample',
        ['--model_dir=cvae_digits', '--kind=receptive_field']
        + ['--output={empty}/x.png'],
        'no dilated convolutions',
    ),
    'a VAE that draws value by value': (
        'sample',
        ['--model_dir=cvae_digits', '--kind=drawing', '--output={empty}/x.png'],
        'draws all values at once',
    ),
    'dimensions that are no numbers': (
        'sample',
        ['--model_dir=cvae_digits', '--kind=manifold', '--dimensions=a,b']
        + ['--output={empty}/x.png'],
        'write two whole numbers',
    ),
    'unknown row': ('compare', [NEW, '--row=dcgan'], "unknown row 'dcgan'"),
    'a table of other settings': (
        'compare',
        ['--workdir={compared}', '--row=R1', '--part=0'],
        'holds a run with other settings',
    ),
    'beyond the first stage': (
        'game',
        [RUN, '--stages=1'],
        'beyond the first stage, 1',
    ),
    'stages of no number': (
        'game',
        [NEW, '--stages=first'],
        'write numbers of steps',
    ),
    'measure while training': (
        'train',
        [P, NEW, '--metrics=modes'],
        "metric 'modes' does not apply",
    ),
    'features that are none': (
        'evaluate',
        [RUN, '--metrics=fidelity', '--features={empty}'],
        'cannot be used',
    ),
    'neighbours without a model': (
        'sample',
        ['--model_dir={empty}', '--kind=neighbours'],
        'no exported model',
    ),
    'history of an untrained run': (
        'sample',
        ['--workdir={untrained}', '--kind=history'],
        'holds no samples of a training',
    ),
    'a VAE-GAN of another prior': (
        'train',
        ['--preset=vae_gan_digits', NEW, '--set=prior=uniform'],
        'use --set prior=normal',
    ),
    'spectral norm of an error': (
        'train',
        ['--preset=gan_ring', NEW, '--set=discriminator=energy']
        + ['--set=spectral_norm=true'],
        'leave one of them out',
    ),
    'draws 0': ('evaluate', [RUN, '--num_draws=0'], 'num_draws is 0'),
    'penalty': (
        'train',
        ['--preset=gan_ring', NEW, '--set=penalty=l2'],
        "unknown penalty 'l2'",
    ),
    'unrolled less than 0': (
        'train',
        ['--preset=gan_ring', NEW, '--set=unrolled_steps=-1'],
        'use 0 or more',
    ),
}
