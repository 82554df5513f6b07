"""A server of files on this machine, with ranges of bytes, that can be told to fail."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(SimpleHTTPRequestHandler):
    """Serves files; `server.told` has each request's range, and what the server is to do wrong is set on it."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on the console."""

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.told.append(asked)
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and server.ranges else 0
        if asked and server.ranges and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if server.length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + server.cuts.pop(0) if server.cuts else len(content)
        self.wfile.write(content[start:end])
        if end < len(content) and server.stalls:
            server.ended.wait()


@contextmanager
def served(
    folder: Path,
    ranges: bool = True,
    cuts: tuple[int, ...] = (),
    length: bool = True,
    redirect: str = "",
    stalls: bool = False,
) -> Iterator[tuple[str, ThreadingHTTPServer]]:
    """The address of a server of a folder's files, and the server, whose `told` has the range of each request.

    Parameters
    ----------
    ranges : whether it knows the header Range
    cuts : the first answers break off after so many bytes, one each
    length : whether it says how long a file is
    redirect : where it sends everybody
    stalls : whether what breaks off stays open, without a word
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: Handler(*given, directory=str(folder)))
    server.ranges, server.cuts, server.length, server.redirect = ranges, list(cuts), length, redirect
    server.told, server.stalls, server.ended = [], stalls, threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
