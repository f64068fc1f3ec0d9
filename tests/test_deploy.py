"""The files of deploy/ are valid and consistent with each other."""

import json
import os
import re
import socket
import subprocess
import sys

import pytest
import tiny
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

DEPLOY = tiny.ROOT / 'deploy'
_FIELD = descriptor_pb2.FieldDescriptorProto
_INT64 = f'.{wrappers_pb2.Int64Value.DESCRIPTOR.full_name}'
# Message -> field -> (number, type), from tensorflow_serving's
# session_bundle_config.proto and monitoring_config.proto. Its package on PyPI
# leaves these out.
MESSAGES = {
    'BatchingParameters': {
        'max_batch_size': (1, _INT64),
        'batch_timeout_micros': (2, _INT64),
        'max_enqueued_batches': (3, _INT64),
        'num_batch_threads': (4, _INT64),
        'allowed_batch_sizes': (6, [_FIELD.TYPE_INT64]),
        'pad_variable_length_inputs': (7, _FIELD.TYPE_BOOL),
    },
    'PrometheusConfig': {
        'enable': (1, _FIELD.TYPE_BOOL),
        'path': (2, _FIELD.TYPE_STRING),
    },
    'MonitoringConfig': {'prometheus_config': (1, '.test.PrometheusConfig')},
}


def _message(name):
    """Returns an empty message of MESSAGES."""
    file = descriptor_pb2.FileDescriptorProto(
        name='test.proto', package='test', syntax='proto3'
    )
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for message, fields in MESSAGES.items():
        made = file.message_type.add(name=message)
        for field, (number, kind) in fields.items():
            many = isinstance(kind, list)
            added = made.field.add(
                name=field,
                number=number,
                label=_FIELD.LABEL_REPEATED if many else _FIELD.LABEL_OPTIONAL,
            )
            if isinstance(kind, str):
                added.type, added.type_name = _FIELD.TYPE_MESSAGE, kind
            else:
                added.type = kind[0] if many else kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    kind = pool.FindMessageTypeByName(f'test.{name}')
    return message_factory.GetMessageClass(kind)()


def _parsed(file, message):
    return text_format.Parse((DEPLOY / file).read_text(), message)


@pytest.fixture
def objects():
    """Returns the objects of kubernetes.yaml: kind -> object."""
    yaml = pytest.importorskip('yaml')
    found = yaml.safe_load_all((DEPLOY / 'kubernetes.yaml').read_text())
    return {o['kind']: o for o in found}


def test_models_and_labels_are_those_that_exist():
    serving = pytest.importorskip(
        'tensorflow_serving.config.model_server_config_pb2'
    )
    parsed = _parsed('models.config', serving.ModelServerConfig())
    models = parsed.model_config_list.config
    assert len({m.name for m in models}) == len(models) > 1
    for model in models:
        assert model.base_path == f'/models/{model.name}'
        labelled = set(model.version_labels.values())
        assert labelled <= set(model.model_version_policy.specific.versions)


def test_batches_are_padded_to_sizes_that_the_server_takes():
    from tfgen.export import saved_model

    batching = _parsed('batching.config', _message('BatchingParameters'))
    sizes = list(batching.allowed_batch_sizes)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == batching.max_batch_size.value
    # A version whose warm-up request has more rows would fail to load.
    assert sizes[-1] >= saved_model.WARMUP_ROWS


def test_metrics_are_found_where_they_are_looked_for(objects):
    found = _parsed('monitoring.config', _message('MonitoringConfig'))
    template = objects['Deployment']['spec']['template']
    notes = template['metadata']['annotations']
    assert found.prometheus_config.enable
    assert found.prometheus_config.path == notes['prometheus.io/path']


def test_the_objects_are_kubernetes_own(objects):
    validate = pytest.importorskip('kubernetes_validate')
    for item in objects.values():
        validate.validate(item, '1.31', strict=True)


def test_image_deployment_and_autoscaler_fit_each_other(objects):
    text = (DEPLOY / 'Dockerfile').read_text()
    flags = dict(
        flag.removeprefix('--').partition('=')[::2]
        for flag in json.loads(
            re.search(r'^CMD (\[.*?\])', text.replace('\\\n', ''), re.M)[1]
        )
    )
    for name in ('model_config', 'batching_parameters', 'monitoring_config'):
        place = flags[f'{name}_file'].removeprefix('/config/')
        assert f'deploy/{place}' in text and (DEPLOY / place).is_file()
    spec = objects['Deployment']['spec']['template']['spec']
    (container,) = spec['containers']
    ports = {p['name']: str(p['containerPort']) for p in container['ports']}
    assert ports == {'grpc': flags['port'], 'rest': flags['rest_api_port']}
    for probe in ('readinessProbe', 'startupProbe'):
        name = container[probe]['httpGet']['path'].removeprefix('/v1/models/')
        assert f'name: "{name}"' in (DEPLOY / 'models.config').read_text()
    batching = _parsed('batching.config', _message('BatchingParameters'))
    cores = container['resources']['limits']['cpu']
    assert int(cores) == batching.num_batch_threads.value
    for threads in ('intra', 'inter'):
        assert flags[f'tensorflow_{threads}_op_parallelism'] == cores
    target = objects['HorizontalPodAutoscaler']['spec']['scaleTargetRef']
    assert target['name'] == objects['Deployment']['metadata']['name']
    labels = objects['Deployment']['spec']['template']['metadata']['labels']
    assert objects['Service']['spec']['selector'] == labels


@pytest.fixture
def job():
    """Returns the objects of train-job.yaml: kind -> object."""
    yaml = pytest.importorskip('yaml')
    found = yaml.safe_load_all((DEPLOY / 'train-job.yaml').read_text())
    return {o['kind']: o for o in found}


def test_the_training_job_fits_its_service(job):
    validate = pytest.importorskip('kubernetes_validate')
    for item in job.values():
        validate.validate(item, '1.31', strict=True)
    spec = job['Job']['spec']
    pod = spec['template']['spec']
    (container,) = pod['containers']
    given = {e['name']: e['value'] for e in container['env']}
    assert spec['completions'] == spec['parallelism'] == int(given['WORKERS'])
    # Kubernetes gives pod i of an indexed Job the host name JOB-i.
    service = job['Service']
    name = job['Job']['metadata']['name']
    port = service['spec']['ports'][0]['port']
    assert given['PLACE'] == f'{name}-%d.{service["metadata"]["name"]}:{port}'
    assert pod['subdomain'] == service['metadata']['name']
    assert service['spec']['clusterIP'] == 'None'
    assert service['spec']['selector'] == {'job-name': name}
    assert port == container['ports'][0]['containerPort']
    # A stopped worker saves and ends before it is killed.
    assert pod['terminationGracePeriodSeconds'] >= 60
    assert pod['restartPolicy'] == 'OnFailure'


def test_the_command_of_the_job_trains_with_two_processes(job, tmp_path):
    (container,) = job['Job']['spec']['template']['spec']['containers']
    given = {e['name']: e['value'] for e in container['env']}
    flags = '--preset=cvae_digits --set=steps=3 --set=filters=4'
    given['FLAGS'] = f'{flags} --set=batch_size=8 --data_dir={tmp_path}/tfds'
    given['WORKDIR'] = str(tmp_path / 'run')
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    # Ports that differ in their last digit.
    given['PLACE'] = f'localhost:{port // 10}%d'
    (tmp_path / 'tfgen').write_text(
        f'#!/bin/sh\nexec {sys.executable} -m tfgen "$@"\n'
    )
    (tmp_path / 'tfgen').chmod(0o755)
    path = {'PATH': f'{tmp_path}:{os.environ["PATH"]}'}
    path['PYTHONPATH'] = str(tiny.ROOT)
    tiny.load('cvae', f'{tmp_path}/tfds')  # not by both at once
    processes = [
        subprocess.Popen(
            [*container['command'], *container['args']],
            env=os.environ
            | given
            | path
            | {'JOB_COMPLETION_INDEX': str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for process in processes:
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0, out + error
    assert (tmp_path / 'run' / 'checkpoints' / 'checkpoint-3.index').exists()


def test_the_script_for_tpus_is_a_script():
    script = DEPLOY / 'tpu-vm.sh'
    subprocess.run(['bash', '-n', script], check=True)
    done = subprocess.run(['bash', script], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith('usage:') and done.stderr.count('\n') == 1


def test_the_image_of_a_training_has_what_it_copies():
    text = (DEPLOY / 'train.Dockerfile').read_text()
    for file in re.findall(r'/tfgen/(\S+\.txt)', text):
        assert (tiny.ROOT / file).is_file()
