#!/usr/bin/python3
"""Listens as systemd does for what a service tells of itself (sd_notify(3)), and prints it.

usage: notify.py SOCKET
"""
import os
import socket
import sys


def listen(path):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(path)
    os.chmod(path, 0o777)
    while True:
        print(server.recv(65536).decode(), flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    listen(sys.argv[1])
