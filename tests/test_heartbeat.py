"""The lock of a workdir in object storage."""

import time

from buckets import FOREVER, assert_one_line


def test_one_training_at_a_time(bucket):
    code = """
    import sys, time
    from tfgen import storage
    from tfgen.storage import heartbeat
    heartbeat.PERIOD, heartbeat.STALE = 0.2, float(sys.argv[2])
    folder = storage.place('gs://test/locked/.lock')
    with heartbeat.Heartbeat(folder, 'workdir') as lock:
        print('mine', flush=True)
        if sys.argv[1] == 'stay':
            sys.stdin.read() if False else time.sleep(60)
        lock.require()
    print('done')
    """
    with bucket.start(code, 'stay', '60') as holder:
        assert holder.stdout.readline() == 'mine\n'
        done = bucket.outcome(code, 'go', '60')
        assert_one_line(done, 'another process trains in workdir (process')
        holder.kill()
        holder.wait()
    # The dead process loses the lock when it has been silent for long enough.
    assert_one_line(bucket.outcome(code, 'go', '60'), 'another process trains')
    time.sleep(1.0)
    out = bucket.run(code, 'go', '0.5')
    assert 'taking over workdir from process' in out and 'done' in out
    assert not any('.lock' in name for name in bucket.ask('/objects'))


def test_a_process_that_was_taken_over_stops(bucket):
    code = """
    from tfgen import storage
    from tfgen.storage import heartbeat
    folder = storage.place('gs://test/taken/.lock')
    with heartbeat.Heartbeat(folder, 'workdir') as first:
        heartbeat.STALE = -1.0
        with heartbeat.Heartbeat(folder, 'workdir') as second:
            second.require()
            try:
                first.require()
            except ValueError as error:
                print(error)
    """
    assert 'another process has taken over workdir' in bucket.run(code)


def test_a_holder_that_writes_meanwhile_keeps_the_lock(bucket):
    """Its object is then newer than that of the process that wants it."""
    code = """
    from tfgen import storage
    from tfgen.storage import heartbeat
    folder = storage.place('gs://test/meanwhile/.lock')
    with heartbeat.Heartbeat(folder, 'workdir') as holder:
        other = heartbeat.Heartbeat(folder, 'workdir')
        other._write(holds=False)
        holder._write(holds=True)
        holder.require()  # a process that wants the lock does not take it
        try:
            other._give_way()
        except ValueError as error:
            print(error)
        # A dead process that comes back: neither may write.
        other._write(holds=True)
        for lock in (holder, other):
            try:
                lock.require()
            except ValueError as error:
                print(error)
        other._remove(other._own)
    """
    out = bucket.run(code)
    assert out.count('another process trains in workdir') == 1
    assert out.count('another process has taken over') == 2


def test_an_outage_is_no_free_lock(bucket):
    code = """
    import sys
    from tfgen import storage
    from tfgen.storage import heartbeat
    heartbeat.STALE = float(sys.argv[2])
    folder = storage.place('gs://test/outage/.lock')
    with heartbeat.Heartbeat(folder, 'workdir'):
        print('mine', flush=True)
        if sys.argv[1] == 'stay':
            import time
            time.sleep(60)
    """
    with bucket.start(code, 'stay', '60') as holder:
        assert holder.stdout.readline() == 'mine\n'
        (name,) = [n for n in bucket.ask('/objects') if 'outage/.lock' in n]
        match = name.rpartition('/')[2]
        bucket.faults({'match': match, 'status': 503, 'times': FOREVER})
        done = bucket.outcome(code, 'go', '60')
        assert_one_line(done, 'gs://test/outage/.lock')
        bucket.faults()
        holder.kill()
        holder.wait()
    time.sleep(1.0)
    assert 'taking over' in bucket.run(code, 'go', '0.5')


def test_of_processes_that_begin_together_one_wins(bucket):
    code = """
    import time
    from tfgen import storage
    from tfgen.storage import heartbeat
    folder = storage.place('gs://test/together/.lock')
    try:
        with heartbeat.Heartbeat(folder, 'workdir'):
            while not storage.place('gs://test/together/go').exists():
                time.sleep(0.1)
            print('won')
    except ValueError:
        print('lost')
    """
    forks = [bucket.start(code) for _ in range(4)]
    end = time.monotonic() + 60
    while sum(f.poll() is None for f in forks) > 1 and time.monotonic() < end:
        time.sleep(0.1)
    bucket.run(
        'from tfgen import storage\n'
        'storage.place("gs://test/together/go").write_bytes(b"x")'
    )
    said = [fork.communicate()[0].strip() for fork in forks]
    for fork in forks:
        fork.__exit__()
    assert sorted(said) == ['lost', 'lost', 'lost', 'won']
