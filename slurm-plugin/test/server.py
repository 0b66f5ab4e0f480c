# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that behaves badly on request: what the path, or the account in a check, says. Prints its port; ends when its standard
input does, or after five minutes. With a file of certificate and key as its argument it prints a second port, for TLS. State (IMDS, health) is changed with POST /control/<name>/<value>."""
import json
import os
import socket
import ssl
import sys
import threading
import time

LIFETIME_S = 300
state = {"health": "200", "expires": "2099-01-01T00:00:00Z", "key": "AKIDIMDS", "calls": 0, "probes": 0, "connections": 0,
         "handshakes": 0}
lock = threading.Lock()


def read_request(conn, rest):
    data = rest
    while b"\r\n\r\n" not in data:
        more = conn.recv(65536)
        if not more:
            return None
        data += more
    head, data = data.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = {}
    for line in lines[1:]:
        name, value = line.split(":", 1)
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    while len(data) < length:
        more = conn.recv(65536)
        if not more:
            return None
        data += more
    return method, path, headers, data[:length], data[length:]


def send(conn, status, body, extra="", length=None):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    length = len(body) if length is None else length
    conn.sendall(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{extra}\r\n".encode() + body)


def verdict(body, job, path):
    answer = {"available": True, "decision": "admitted", "estimated_cost": 10.0, "hold_amount": 12, "budget_remaining": 88.5,
              "message": "ok", "wall_time": "01:30:01", "recommendation": None}
    if "hold_id" in job:
        answer["hold_id"] = answer["transaction_id"] = job["hold_id"]
    answer.update(body)
    return answer


def api(conn, method, path, headers, body):
    """Returns False to hang up."""
    job = json.loads(body or b"{}")
    name = job.get("account", "")
    with lock:
        state["calls"] += 1
        state["last"] = {"path": path, "job": job, "headers": headers}
    if path.endswith("/adjust"):
        job_id = path.split("/")[5]
        if job_id == "404":
            send(conn, 404, {"error": {"code": "job_not_found", "message": "no such job"}, "request_id": "r"})
        elif job.get("nodes", 0) > 100:
            send(conn, 200, verdict({"available": False, "message": "too much", "code": "insufficient_budget"}, job, path))
        elif job_id == "500":
            send(conn, 500, {"message": "boom"})
        else:
            send(conn, 200, verdict({"hold_id": "00000000-0000-4000-8000-000000000001"}, job, path))
        return True
    if name == "poor":
        send(conn, 200, {"available": False, "decision": "refused", "estimated_cost": 100, "hold_amount": 120, "budget_remaining": 41.2,
                         "code": "insufficient_budget", "wall_time": "06:00:00",
                         "message": "account poor has $41.20 available;\n this job needs $120.00 held\u001b[31m \u20ac."})
    elif name == "unknown":
        send(conn, 404, {"error": {"code": "account_not_found", "message": "there is no account unknown"}, "request_id": "r"})
    elif name == "nopart":
        send(conn, 404, {"error": {"code": "partition_not_found", "message": "no partition"}, "request_id": "r"})
    elif name == "other":
        send(conn, 200, verdict({"hold_id": "11111111-1111-4111-8111-111111111111"}, job, path))
    elif name.startswith("status"):
        send(conn, int(name[6:]), {"message": "from the gateway"})
    elif name == "slow":
        time.sleep(3)
        return False
    elif name.startswith("wait"):
        time.sleep(int(name[4:]) / 1000)
        send(conn, 200, verdict({}, job, path))
    elif name == "half":
        send(conn, 200, b'{"available":tr', length=400)
        return False
    elif name == "garbage":
        send(conn, 200, b"<html>it works</html>")
    elif name == "big":
        send(conn, 200, b'{"available":true,"message":"' + b"x" * 100000 + b'"}')
    elif name == "redirect":
        send(conn, 302, b"", "Location: /api/v1/health\r\n")
    elif name == "hangup":
        return False
    else:
        send(conn, 200, verdict({}, job, path))
    return True


def metadata(conn, method, path, headers):
    if path == "/latest/api/token":
        if method == "PUT" and headers.get("x-aws-ec2-metadata-token-ttl-seconds"):
            send(conn, 200, b"imds-token")
        else:
            send(conn, 400, b"")
    elif path.startswith("/container"):
        if headers.get("authorization") != "Bearer task":
            send(conn, 401, b"")
        else:
            send(conn, 200, keys("AKIDTASK"))
    elif headers.get("x-aws-ec2-metadata-token") != "imds-token":
        send(conn, 401, b"")
    elif path.endswith("/security-credentials/"):
        send(conn, 200, b"head-node-role")
    else:
        send(conn, 200, keys(state["key"]))


def keys(access_key):
    return {"Code": "Success", "AccessKeyId": access_key, "SecretAccessKey": "secret", "Token": "session", "Expiration": state["expires"]}


def plain(conn, path, seen):
    """Returns False to hang up."""
    if path == "/half":
        send(conn, 200, b"half", length=4000)
        return False
    if path == "/big":
        send(conn, 200, b"x" * 100000)
    elif path == "/fits":
        send(conn, 200, b"x" * 65536)
    elif path == "/redirect":
        send(conn, 302, b"moved", "Location: /ok\r\n")
    elif path == "/nohttp":
        conn.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        return False
    elif path == "/slow":
        time.sleep(3)
        return False
    elif path == "/drip":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(100):
            time.sleep(0.05)
            conn.sendall(b"x")
    elif path == "/headers":
        conn.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"y" * 1000 + b"\r\n")
        for _ in range(60):
            conn.sendall(b"X-Long: " + b"y" * 1000 + b"\r\n")
        send(conn, 200, b"")
    elif path == "/once":  # answers the first request of a connection, and hangs up on the second
        if seen > 1:
            return False
        send(conn, 200, b"once")
    elif path == "/close":  # hangs up behind its answer, without a word
        send(conn, 200, b"close")
        return False
    elif path == "/hangup":
        return False
    elif path.startswith("/status/"):
        send(conn, int(path[8:]), b"{}")
    else:
        send(conn, 200, b"ok")
    return True


def serve(conn):
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    rest, seen = b"", 0
    with lock:
        state["connections"] += 1
    try:
        while True:
            request = read_request(conn, rest)
            if request is None:
                return
            method, path, headers, body, rest = request
            seen += 1
            if path == "/state":
                with lock:
                    send(conn, 200, state)
            elif path == "/echo":
                send(conn, 200, {"method": method, "headers": headers, "body": body.decode("latin-1")})
            elif path.startswith("/control/"):
                _, _, name, value = path.split("/", 3)
                with lock:
                    state[name] = value
                send(conn, 200, b"{}")
            elif path == "/api/v1/health":
                with lock:
                    state["probes"] += 1
                send(conn, int(state["health"]), {"status": "ok"})
            elif path.startswith("/api/v1/"):
                if not api(conn, method, path, headers, body):
                    return
            elif path.startswith("/latest/") or path.startswith("/container"):
                metadata(conn, method, path, headers)
            elif not plain(conn, path, seen):
                return
    except (OSError, ValueError):
        pass
    finally:
        conn.close()


def accept(listener, context):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=welcome, args=(conn, context), daemon=True).start()


def welcome(conn, context):
    try:
        if context:
            conn = context.wrap_socket(conn, server_side=True)
            with lock:
                state["handshakes"] += 1
        serve(conn)
    except OSError:  # a client that does not believe us
        conn.close()


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    ports = [listener.getsockname()[1]]
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
        secure = socket.create_server(("127.0.0.1", 0), backlog=64)
        ports.append(secure.getsockname()[1])
        threading.Thread(target=accept, args=(secure, context), daemon=True).start()

    def end():
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    timer = threading.Timer(LIFETIME_S, os._exit, [1])
    timer.daemon = True
    timer.start()
    print(*ports, flush=True)
    accept(listener, None)


main()
