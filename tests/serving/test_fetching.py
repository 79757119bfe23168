"""Pictures from other hosts: real servers on this machine, which tests alone may reach."""

import ipaddress
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from moai.serving.fetching import Fetcher, is_public
from moai.serving.pictures import Pictures
from moai.serving.settings import Settings
from perception.images import ImageError

CONTENT = b"content of a picture" * 100


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Host"]))
        way = self.path.partition("?")[0]
        if way.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.server.sends[way])
            self.end_headers()
            return
        self.send_response(404 if way == "/missing" else 200)
        if way == "/told":
            self.send_header("Content-Length", str(10**9))
        self.end_headers()
        try:
            if way in ("/huge", "/told"):
                while True:
                    self.wfile.write(CONTENT * 50)
            if way == "/slow":
                while not self.server.ending.wait(0.05):
                    self.wfile.write(b".")
                    self.wfile.flush()
            self.wfile.write(CONTENT)
        except OSError:
            pass

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    """A host with pictures; `asked` are the requests that came."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.ending, server.port = [], threading.Event(), server.server_address[1]
        server.sends = {
            "/to/near": "/picture?a=b",
            "/to/metadata": "http://169.254.169.254/latest/meta-data",
            "/to/other": f"http://other.example:{server.port}/picture",
            "/to/file": "file:///etc/passwd",
            "/to/itself": "/to/itself",
        }
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.ending.set()
        server.shutdown()


@pytest.fixture
def fetch(server):
    """Allowed are two names of this machine."""
    hosts = [f"pictures.example:{server.port}", f"OTHER.example:{server.port}"]
    return Fetcher(hosts, 10_000, 5.0, resolve=lambda host, port: ["127.0.0.1"], public=lambda address: True)


def test_a_picture_is_fetched_under_the_name_of_its_host(fetch, server):
    url = f"http://pictures.example:{server.port}"
    assert fetch(f"{url}/picture?x=%20y") == CONTENT
    assert server.asked[-1] == ("/picture?x=%20y", f"pictures.example:{server.port}")
    assert fetch(f"{url}/to/near") == CONTENT and server.asked[-1][0] == "/picture?a=b"


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ("/to/metadata", "169.254.169.254, which is not allowed"),
        ("/to/other", "sends on to another host"),
        ("/to/file", "begins with http or https"),
        ("/to/itself", "sends on more than 3 times"),
        ("/missing", "status 404"),
        ("/huge", "larger than 10000 bytes"),
        ("/told", "larger than 10000 bytes"),
    ],
)
def test_what_a_host_must_not_do(fetch, server, way, told):
    with pytest.raises(ImageError, match=told):
        fetch(f"http://pictures.example:{server.port}{way}")


def test_a_host_that_drips_is_left(server):
    fetch = Fetcher(
        [f"pictures.example:{server.port}"], 10**6, 1.0, lambda host, port: ["127.0.0.1"], lambda address: True
    )
    started = time.monotonic()
    with pytest.raises(ImageError, match="does not send the picture within"):
        fetch(f"http://pictures.example:{server.port}/slow")
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://pictures.example/x",
        "gopher://pictures.example/x",
        "//pictures.example/x",
        "/etc/passwd",
        "http://pictures.example:1/x",
        "http://elsewhere.example/x",
        "http://pictures.example@elsewhere.example/x",
        "http://elsewhere.example\\@pictures.example/x",
        "http://elsewhere.example#@pictures.example/x",
        "http://pictures.example.elsewhere.example/x",
        "http://pictures.example:99999/x",
        "http://[::1/x",
        "http:///x",
        "http://pictures.example/x\r\nHost: elsewhere",
        "http://picturés.example/x",
        "",
    ],
)
def test_no_other_address_is_asked(url):
    def resolve(host, port):
        raise AssertionError(f"{host} was looked up")

    with pytest.raises(ImageError):
        Fetcher(["pictures.example"], 10_000, 5.0, resolve=resolve)(url)


NOT_PUBLIC = [
    "127.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254",
    "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:4136:e378::1",
    "fe80::1%eth0",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public_are_refused_whatever_name_they_hide_behind(server, address):
    before = len(server.asked)
    assert not is_public(ipaddress.ip_address(address.partition("%")[0]))
    for found in ([address], ["93.184.216.34", address]):  # one among others is enough
        fetch = Fetcher([f"pictures.example:{server.port}"], 10_000, 5.0, resolve=lambda host, port, found=found: found)
        with pytest.raises(ImageError, match="not public"):
            fetch(f"http://pictures.example:{server.port}/picture")
    assert len(server.asked) == before


def test_public_addresses_are_public():
    for address in ("93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8"):
        assert is_public(ipaddress.ip_address(address))


def test_a_name_that_changes_is_resolved_once(server):
    """DNS rebinding: the first answer is checked, and it is the one that is connected to."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    asked = []

    def resolve(host, port):
        asked.append(host)
        return next(answers)

    loopback = ipaddress.ip_address("127.0.0.1")
    fetch = Fetcher(
        [f"pictures.example:{server.port}"], 10_000, 5.0, resolve, public=lambda address: address == loopback
    )
    assert fetch(f"http://pictures.example:{server.port}/picture") == CONTENT and asked == ["pictures.example"]
    with pytest.raises(ImageError, match="not public"):
        fetch(f"http://pictures.example:{server.port}/picture")


def test_a_name_of_this_machine_is_refused_by_the_usual_resolver(server):
    for host in ("localhost", "127.0.0.1", socket.gethostname()):
        settings = Settings(fetch_from=(f"{host}:{server.port}",))
        with pytest.raises(ImageError, match=r"not public|not found"):
            Pictures(settings).content(f"http://{host}:{server.port}/picture")


def test_a_host_that_is_not_there():
    def resolve(host, port):
        raise socket.gaierror("no such name")

    with pytest.raises(ImageError, match=r"the host pictures.example was not found"):
        Fetcher(["pictures.example"], 10_000, 5.0, resolve=resolve)("https://pictures.example/x")


def test_nothing_is_fetched_unless_it_is_allowed():
    with pytest.raises(ImageError, match="nothing is fetched here"):
        Pictures(Settings()).content("https://pictures.example/x.png")
