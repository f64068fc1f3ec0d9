"""A bucket on this machine, for TensorFlow's own gs:// client.

    python tests/gcs.py BUCKET ...

TensorFlow asks https://www.googleapis.com and https://storage.googleapis.com,
but its libcurl obeys https_proxy and CURL_CA_BUNDLE. This server is that proxy.
It ends the TLS with a certificate of its own and answers in Google's place.
Nothing leaves the machine. The first line of its output is the environment of
its clients, as JSON.

Objects are kept in memory. After each change the state of a bucket is kept,
too: the bucket `NAME-at-7` is `NAME` after its seventh change.

Control, by plain HTTP on the same port:

    GET  /log       the requests, one line each
    GET  /objects   'bucket/object' -> size
    GET  /changes   bucket -> number of its changes
    POST /faults    a list of rules, which replace the earlier ones

A rule is {"method": ..., "match": part of the address, "skip": n, "times": n,
"seconds": s, ACTION}. It ends `s` seconds after it was first applied. ACTION is
"status": 503, "delay": seconds, or "drop": "before" or "after" the work is
done. "kill": a process's number, beside "drop", kills that process as well.
"""

import contextlib
import datetime
import http.server
import json
import os
import signal
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

HOSTS = ('www.googleapis.com', 'storage.googleapis.com')
_MISSING = 404, {'error': {'code': 404, 'message': 'not found'}}


class Buckets:
    """The objects: bucket -> name -> (content, generation, time)."""

    def __init__(self, names):
        self.lock = threading.RLock()
        self._now = {name: {} for name in names}
        self._before = {name: [{}] for name in names}
        self._uploads = {}  # id -> (bucket, name, content so far)
        self._generation = time.time_ns()

    def get(self, bucket):
        """The objects of a bucket, or of an earlier state; KeyError if none."""
        name, at, number = bucket.rpartition('-at-')
        if at:
            return self._before[name][int(number)]
        return self._now[bucket]

    def put(self, bucket, name, content):
        self._generation += 1
        found = bytes(content), self._generation, time.time()
        self._now[bucket] = self._now[bucket] | {name: found}
        self._before[bucket].append(self._now[bucket])
        return self.facts(bucket, name)

    def delete(self, bucket, name):
        objects = dict(self._now[bucket])
        del objects[name]
        self._now[bucket] = objects
        self._before[bucket].append(objects)
        return 204, b''

    def facts(self, bucket, name):
        content, generation, changed = self.get(bucket)[name]
        when = datetime.datetime.fromtimestamp(changed, datetime.UTC)
        return 200, {
            'name': name,
            'size': str(len(content)),
            'generation': str(generation),
            'updated': when.strftime('%Y-%m-%dT%H:%M:%S.%fZ'),
        }

    def list(self, bucket, prefix, delimiter, first, most):
        """Objects and folders whose names begin with `prefix`, page by page."""
        found = {}  # name -> whether it is an object
        for name in sorted(n for n in self.get(bucket) if n.startswith(prefix)):
            folder, cut, _ = name[len(prefix) :].partition(delimiter or '\0')
            found[prefix + folder + cut if cut else name] = not cut
        page = list(found)[first : first + most]
        answer = {
            'items': [{'name': name} for name in page if found[name]],
            'prefixes': [name for name in page if not found[name]],
        }
        if first + most < len(found):
            answer['nextPageToken'] = str(first + most)
        return 200, answer

    def begin(self, bucket, name):
        """Begins a resumable upload; returns its id."""
        self.get(bucket)  # KeyError if there is no such bucket
        self._uploads[str(len(self._uploads))] = bucket, name, bytearray()
        return str(len(self._uploads) - 1)

    def upload_name(self, number):
        return self._uploads[number][1] if number in self._uploads else ''

    def resume(self, number, span, content):
        """Takes a part of an upload; `span` is its Content-Range."""
        bucket, name, whole = self._uploads[number]
        part, total = span.split()[1].split('/')
        if part != '*':
            whole[int(part.split('-')[0]) :] = content
        if len(whole) >= int(total):
            return self.put(bucket, name, whole)
        have = {'Range': f'bytes=0-{len(whole) - 1}'} if whole else {}
        return 308, b'', have

    def summary(self):
        return {
            f'{bucket}/{name}': len(content)
            for bucket, objects in self._now.items()
            for name, (content, *_) in objects.items()
        }

    def changes(self):
        return {name: len(states) - 1 for name, states in self._before.items()}


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """The proxy, with its certificate, its log and its faults."""

    daemon_threads, request_queue_size = True, 64

    def __init__(self, names):
        super().__init__(('127.0.0.1', 0), Handler)
        self.buckets, self.log, self.faults = Buckets(names), [], []
        self._folder = tempfile.TemporaryDirectory()
        self.certificate = f'{self._folder.name}/certificate.pem'
        key = f'{self._folder.name}/key.pem'
        names = ','.join(f'DNS:{host}' for host in HOSTS)
        subprocess.run(
            f'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 '
            f'-nodes -days 2 -subj /CN=bucket -keyout {key} '
            f'-out {self.certificate} -addext subjectAltName={names}'.split(),
            check=True,
            capture_output=True,
        )
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.certificate, key)

    def fault(self, method, address):
        """The first rule that is due for a request, or {}."""
        for rule in self.faults:
            if rule.get('method', method) != method:
                continue
            if rule.get('match', '') not in address:
                continue
            if rule.get('skip', 0) > 0:
                rule['skip'] -= 1
            elif rule.setdefault('times', 1) > 0:
                rule['times'] -= 1
                now = time.monotonic()
                end = rule.setdefault('end', now + rule.get('seconds', 1e9))
                if now < end:
                    return rule
        return {}


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection: first as a proxy, then as Google's host."""

    protocol_version, disable_nagle_algorithm = 'HTTP/1.1', True
    inside = False  # of the TLS

    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        if self.path.rpartition(':')[0] not in HOSTS:
            self.answer(403, b'')
            return
        self.wfile.write(b'HTTP/1.1 200 Connection established\r\n\r\n')
        self.connection = self.server.tls.wrap_socket(
            self.connection, server_side=True
        )
        self.rfile = self.connection.makefile('rb')
        self.wfile = self.connection.makefile('wb', 0)
        self.inside, self.close_connection = True, False

    def answer(self, status, content, headers=None):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status, '-')
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def content(self):
        """The body of the request, which may come in chunks."""
        if self.headers.get('Transfer-Encoding') != 'chunked':
            return self.rfile.read(int(self.headers.get('Content-Length') or 0))
        found = b''
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def serve(self):
        server, url = self.server, urllib.parse.urlsplit(self.path)
        if not self.inside:
            self.control(url.path)
            return
        query = dict(urllib.parse.parse_qsl(url.query, True))
        address = self.headers['Host'] + urllib.parse.unquote(self.path)
        if 'upload_id' in query:  # the address of a part lacks its object
            address += f'&name={server.buckets.upload_name(query["upload_id"])}'
        rule = server.fault(self.command, address)
        if rule.get('drop') == 'before':
            self.drop(rule)
            return
        content = self.content()
        server.log.append(f'{self.command} {address} {len(content)}')
        time.sleep(rule.get('delay', 0))
        if 'status' in rule:
            answer = rule['status'], {'error': {'code': rule['status']}}
        else:
            path = [urllib.parse.unquote(p) for p in url.path[1:].split('/')]
            with server.buckets.lock:
                try:
                    answer = self.route(path, query, content)
                except (KeyError, IndexError):
                    answer = _MISSING
        if rule.get('drop') == 'after':
            self.drop(rule)
            return
        self.answer(*answer)

    def drop(self, rule):
        """Ends the connection, and the process that a rule names."""
        self.close_connection = True
        if 'kill' in rule:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rule['kill'], signal.SIGKILL)

    do_GET = do_PUT = do_POST = do_DELETE = serve

    def route(self, path, query, content):
        """Answers a request of the JSON API: status, content and headers."""
        buckets, method = self.server.buckets, self.command
        if self.headers['Host'].startswith('storage.'):  # /BUCKET/OBJECT
            whole = buckets.get(path[0])['/'.join(path[1:])][0]
            span = self.headers.get('Range', f'bytes=0-{len(whole)}')
            first, last = map(int, span.partition('=')[2].split('-'))
            return (206 if first < len(whole) else 416), whole[first : last + 1]
        if path[0] == 'upload':  # /upload/storage/v1/b/BUCKET/o
            return self.upload(path[4], query, content)
        bucket, rest = path[3], path[4:]  # /storage/v1/b/BUCKET/o/OBJECT
        if not rest or rest == ['storageLayout']:
            buckets.get(bucket)
            return 200, {'name': bucket, 'location': 'HERE'}
        if len(rest) == 1:
            return buckets.list(
                bucket,
                query.get('prefix', ''),
                query.get('delimiter', ''),
                int(query.get('pageToken', 0)),
                int(query.get('maxResults', 1000)),
            )
        name = rest[1]
        if method == 'POST':  # o/SOURCE/rewriteTo/b/BUCKET/o/TARGET
            whole = buckets.get(bucket)[name][0]
            buckets.put(rest[4], rest[6], whole)
            return 200, {'done': True}
        if method == 'DELETE':
            return buckets.delete(bucket, name)
        return buckets.facts(bucket, name)

    def upload(self, bucket, query, content):
        buckets = self.server.buckets
        if query['uploadType'] == 'media':
            return buckets.put(bucket, query['name'], content)
        number = query.get('upload_id')
        if number is None:
            number = buckets.begin(bucket, query['name'])
            where = f'https://{HOSTS[0]}{self.path.partition("?")[0]}'
            where += f'?uploadType=resumable&upload_id={number}'
            return 200, b'', {'Location': where}
        span = self.headers.get('Content-Range', 'bytes */0')
        return buckets.resume(number, span, content)

    def control(self, path):
        """Answers the test."""
        server = self.server
        if path == '/faults':
            server.faults = json.loads(self.content())
        found = {
            '/log': lambda: server.log,
            '/objects': server.buckets.summary,
            '/changes': server.buckets.changes,
        }
        self.answer(200, found.get(path, lambda: {})())


def main() -> None:
    server = Server(sys.argv[1:])
    environment = {
        'https_proxy': f'http://127.0.0.1:{server.server_port}',
        'no_proxy': 'localhost,127.0.0.1',
        'CURL_CA_BUNDLE': server.certificate,
        'GOOGLE_AUTH_TOKEN_FOR_TESTING': 'test',
        'NO_GCE_CHECK': 'true',
        # Fast retries, and no memory of what was not there.
        'GCS_RETRY_CONFIG_INIT_DELAY_TIME_US': '20000',
        'GCS_RETRY_CONFIG_MAX_RETRIES': '2',
        'GCS_STAT_CACHE_MAX_AGE': '0',
        'GCS_READ_CACHE_BLOCK_SIZE_MB': '1',
    }
    print(json.dumps(environment), flush=True)
    server.serve_forever()


if __name__ == '__main__':
    main()
