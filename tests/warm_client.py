"""What tests/warm.py calls Python: `python FILE ..` and `python -m snakemake ..` run in a fork of its process, with the
streams of this one, which ends as they do. All else is left to Python itself.

    python -IS warm_client.py PYTHON CLIENT WORDS ..
"""

import json
import os
import signal
import socket
import sys


def main() -> None:
    python, client, *words = sys.argv[1:]
    if not (words and words[0].endswith(".py")) and words[:2] != ["-m", "snakemake"]:
        os.execv(python, [python, *words])
    request = {"words": words, "folder": os.getcwd(), "environment": dict(os.environ), "client": client}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"{os.path.dirname(client)}/socket")
        text = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(connection, [text], [0, 1, 2])
        connection.sendall(text[sent:])
        answers = connection.makefile()
        process = int(answers.readline())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: os.kill(process, number))
        status = int(answers.readline())
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


main()
