# SPDX-License-Identifier: GPL-2.0-or-later
"""Signs what `curl --aws-sigv4` sends with our own signer, and compares: compare_with_curl.py build/plain/tool_sign"""
import calendar
import re
import socket
import subprocess
import sys
import threading
import time

KEYS = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CASES = [
    ("POST", "/api/v1/budget/check", '{"account":"physics","partition":"aws,local"}', ""),
    ("POST", "/api/v1/budget/check", "{}", "FwoGZXIvYXdzEXAMPLE//token+with/signs=="),
    ("POST", "/prod/api/v1/jobs/hpc/2232/adjust", '{"job_name":"\u00e9 \\" \\n","raise_only":true}', "t" * 1500),
    ("GET", "/api/v1/health", "", ""),
]


def capture(listener, seen):
    conn, _ = listener.accept()
    conn.settimeout(10)
    data = b""
    while b"\r\n\r\n" not in data:
        data += conn.recv(65536)
    head, body = data.split(b"\r\n\r\n", 1)
    length = int((re.search(rb"(?i)content-length: (\d+)", head) or [b"", b"0"])[1])
    while len(body) < length:
        body += conn.recv(65536)
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    conn.close()
    seen.update(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])


def main(tool):
    version = re.search(r"curl (\d+)\.(\d+)", subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout)
    if tuple(map(int, version.groups())) < (7, 86):
        print("skipped: this curl signs only host and date")
        return 0
    for method, path, body, token in CASES:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(20)
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        seen = {}
        thread = threading.Thread(target=capture, args=(listener, seen), daemon=True)
        thread.start()
        args = ["curl", "-sS", "--max-time", "15", "--noproxy", "*", "--aws-sigv4", "aws:amz:eu-central-1:execute-api", "--user", KEYS,
                "-X", method, f"http://{host}{path}"]
        ours = ["content-type", "application/json"] if method == "POST" else []
        if method == "POST":
            args += ["-H", "Content-Type: application/json", "--data-binary", body]
        if token:
            args += ["-H", f"X-Amz-Security-Token: {token}"]
        subprocess.run(args, check=True)
        thread.join(10)
        listener.close()
        seen = {name.lower(): value for name, value in seen.items()}
        seconds = calendar.timegm(time.strptime(seen["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        mine = subprocess.run([tool, str(seconds), method, host, path, body, token, *ours], check=True, capture_output=True, text=True)
        if mine.stdout.strip() != seen["authorization"]:
            print(f"{method} {path}:\n{mine.stdout.strip()}\nis not curl's\n{seen['authorization']}", file=sys.stderr)
            return 1
    print(f"{len(CASES)} signatures equal curl's")
    return 0


sys.exit(main(sys.argv[1]))
