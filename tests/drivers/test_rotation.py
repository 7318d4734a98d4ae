"""Certificates and logins of database and broker are exchanged while programs work: docs/rotation.md, tried."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import urllib3

from mig_core.cli.demo.processes import program
from mig_core.relay.private_rabbitmq import free_port
from mig_core.store.roles import API, SCHEDULER, create_login
from mig_core.testing.certificates import make_certificates
from mig_core.testing.eventually import eventually
from mig_core.testing.rabbitmq import OperatedBroker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.relay.private_rabbitmq import PrivateRabbitMQ
    from mig_core.testing.postgres import PostgresServer

OLD, NEW = "mig_rotate_old", "mig_rotate_new"


class Program:
    """One of ours as a process."""

    def __init__(self, folder: Path, name: str, settings: str) -> None:
        self.folder = folder
        config = folder / "settings.toml"
        config.write_text(settings, encoding="utf-8")
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen([program(name), "--config", str(config)], stderr=log)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def says(self, words: str, times: int = 1) -> None:
        eventually(lambda: self._lives() and self.log.count(words) >= times)

    def hang_up(self) -> None:
        os.kill(self.process.pid, signal.SIGHUP)

    def _lives(self) -> bool:
        assert self.process.poll() is None, self.log
        return True


@contextlib.contextmanager
def running(folder: Path, name: str, settings: str) -> Iterator[Program]:
    started = Program(folder, name, settings)
    try:
        yield started
    finally:
        started.process.terminate()
        try:
            assert started.process.wait(60) == 0, started.log
        finally:
            started.process.kill()
            started.process.wait()


@pytest.fixture
def passwords(postgres_server: PostgresServer) -> Iterator[None]:
    """The server asks the two logins for their passwords."""
    hba = Path(postgres_server.run_sql("SHOW hba_file").strip())
    before = hba.read_text(encoding="utf-8")
    hba.write_text(f"local all {OLD},{NEW} scram-sha-256\n{before}", encoding="utf-8")
    postgres_server.run_sql("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        hba.write_text(before, encoding="utf-8")
        postgres_server.run_sql("SELECT pg_reload_conf()")
        for name in (OLD, NEW):
            postgres_server.run_sql(f"DROP ROLE IF EXISTS {name}")


def logins(postgres_server: PostgresServer, database: str) -> set[str]:
    said = postgres_server.run_sql(f"SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = '{database}'")
    return {line.strip() for line in said.splitlines()} & {OLD, NEW}


class Knocking:
    """Connects to an address over and over; notes when it is refused."""

    def __init__(self, port: int) -> None:
        self._pool = urllib3.HTTPSConnectionPool("127.0.0.1", port, cert_reqs=ssl.CERT_NONE, retries=False, timeout=60)
        self._ended = threading.Event()
        self.answered, self.refused = 0, 0
        self._thread = threading.Thread(target=self._knock)

    def __enter__(self) -> Knocking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _knock(self) -> None:
        while not self._ended.wait(0.02):
            try:
                self._pool.request("GET", "/healthz", headers={"Connection": "close"})
                self.answered += 1
            except urllib3.exceptions.NewConnectionError:
                self.refused += 1
            except urllib3.exceptions.HTTPError:
                pass  # it was taken before the change and not answered any more


def believes(port: int, authority: Path) -> bool:
    try:
        context = ssl.create_default_context(cafile=authority)
        with urllib3.HTTPSConnectionPool("127.0.0.1", port, ssl_context=context, retries=False, timeout=60) as pool:
            return pool.request("GET", "/healthz").status == 200
    except urllib3.exceptions.HTTPError:
        return False


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.usefixtures("passwords")
def test_mig_api_takes_over_a_certificate_and_a_database_login_and_refuses_nobody_meanwhile(
    tmp_path: Path, postgres_server: PostgresServer, store_database: str, store_url: str
) -> None:
    for name in (OLD, NEW):
        create_login(store_url, name, f"password of {name}", group=API)
    urls = {
        name: postgres_server.url(role=name, database=store_database) + f"&password=password%20of%20{name}"
        for name in (OLD, NEW)
    }
    for name in ("before", "after", "tls"):
        (tmp_path / name).mkdir()
    before, after = make_certificates(tmp_path / "before"), make_certificates(tmp_path / "after")
    tls, url_file = tmp_path / "tls", tmp_path / "url"
    url_file.write_text(urls[OLD])
    for file in ("server.pem", "server.key"):
        shutil.copy(before / file, tls)
    settings = f"""
        state = "{tmp_path}/state"
        listen = "127.0.0.1:0"
        database = {{ url_file = "{url_file}", pool_size = 2 }}
        tls = {{ certificate_file = "{tls}/server.pem", key_file = "{tls}/server.key" }}
    """
    with running(tmp_path, "mig-api", settings) as api:
        api.says("listens on 127.0.0.1:")
        port = int(api.log.partition("listens on 127.0.0.1:")[2].split()[0])
        with Knocking(port) as knocking:
            assert believes(port, before / "ca.pem")

            shutil.copy(after / "server.pem", tls)  # and its key is still the old one
            api.hang_up()
            api.says("are not used, those before stay in force")
            assert believes(port, before / "ca.pem")

            shutil.copy(after / "server.key", tls)
            url_file.write_text(urls[NEW].replace("password%20of", "no%20password%20of"))
            api.hang_up()
            api.says("does not let this program in")
            assert believes(port, before / "ca.pem")

            url_file.write_text(urls[NEW])
            (tmp_path / "settings.toml").write_text(settings.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
            api.hang_up()
            api.says("cannot listen on")  # for somebody does already
            (tmp_path / "settings.toml").write_text(settings.replace(f"{tmp_path}/state", "/dev/null/state"))
            api.hang_up()
            api.says("/dev/null/state")
            owner = urls[NEW].replace("password%20of", "no%20password%20of")
            unknown = settings.replace("pool_size = 2", f'pool_size = 2, owner_url = "{owner}"')
            (tmp_path / "settings.toml").write_text(unknown)
            api.hang_up()
            api.says("in force: database:")
            assert believes(port, before / "ca.pem")

            (tmp_path / "settings.toml").write_text(settings)
            api.hang_up()
            api.says("listens on 127.0.0.1:", times=2)

            eventually(lambda: believes(port, after / "ca.pem"))
            postgres_server.run_sql(f"ALTER ROLE {OLD} NOLOGIN")
            eventually(lambda: logins(postgres_server, store_database) == {NEW})
            answered = knocking.answered
            eventually(lambda: knocking.answered > answered)
        assert knocking.refused == 0


class Broker(OperatedBroker):
    """Programs that operate the broker."""

    def connected(self) -> set[str]:
        return set(self.control("list_connections", "user").split())


@pytest.mark.usefixtures("passwords")
def test_the_scheduler_takes_over_logins_and_the_webhooks_secret_in_the_same_process(
    tmp_path: Path,
    postgres_server: PostgresServer,
    store_database: str,
    store_url: str,
    rabbitmq_server: PrivateRabbitMQ,
) -> None:
    for name in (OLD, NEW):
        create_login(store_url, name, f"password of {name}", group=SCHEDULER)
    url_file, amqp_file = tmp_path / "url", tmp_path / "amqp-url"
    url_file.write_text(postgres_server.url(role=OLD, database=store_database) + f"&password=password%20of%20{OLD}")
    amqp_file.write_text(rabbitmq_server.scheduler_url)
    webhook_file = tmp_path / "webhook"
    webhook_file.write_text("one")
    broker = Broker(rabbitmq_server)
    user = '<<"rotated">>, <<"mig">>, <<"^mig\\\\.">>, <<"^mig\\\\.">>, <<"^mig\\\\.">>, <<"test">>'
    broker.control(
        "eval",
        'rabbit_auth_backend_internal:add_user(<<"rotated">>, <<"another">>, <<"test">>),'
        f"rabbit_auth_backend_internal:set_permissions({user}).",
    )
    settings = f"""
        database = {{ url_file = "{url_file}", pool_size = 2 }}
        amqp = {{ url_file = "{amqp_file}" }}
        webhook = {{ url = "http://127.0.0.1:1/", secret_file = "{webhook_file}" }}
    """
    with running(tmp_path, "mig-scheduler", settings) as scheduler:
        scheduler.says("started; relays: https, amqp")

        url_file.write_text(postgres_server.url(role=NEW, database=store_database) + "&password=another")
        scheduler.hang_up()
        scheduler.says("are not used, those before stay in force: the database does not let this program in")
        assert scheduler.log.count("started; relays") == 1

        url_file.write_text(postgres_server.url(role=NEW, database=store_database) + f"&password=password%20of%20{NEW}")
        amqp_file.write_text(rabbitmq_server.amqp_url("rotated", "another"))
        scheduler.hang_up()
        scheduler.says("started; relays: https, amqp", times=2)

        eventually(lambda: logins(postgres_server, store_database) == {NEW})
        eventually(lambda: "rotated" in broker.connected())

        webhook_file.write_text("")
        scheduler.hang_up()
        scheduler.says("webhook.secret_file: is empty")
        webhook_file.write_text("another")
        scheduler.hang_up()
        scheduler.says("started; relays: https, amqp", times=3)


@pytest.mark.usefixtures("passwords")
def test_a_login_whose_password_changes_in_the_passfile_is_admitted_by_its_next_connections(
    tmp_path: Path, postgres_server: PostgresServer, store_database: str, store_url: str
) -> None:
    passfile = tmp_path / "passfile"
    passfile.touch(mode=0o600)

    def change_password(password: str) -> None:
        create_login(store_url, OLD, password, group=SCHEDULER)
        passfile.write_text(f"*:*:*:{OLD}:{password}\n")

    change_password("first")
    settings = f"""
        database = {{ url = "{postgres_server.url(role=OLD, database=store_database)}&passfile={passfile}" }}
    """
    with running(tmp_path, "mig-scheduler", settings) as scheduler:
        scheduler.says("started; relays")

        change_password("second")
        ended = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{OLD}'"
        postgres_server.run_sql(ended)

        eventually(lambda: logins(postgres_server, store_database) == {OLD})
        assert scheduler.log.count("started; relays") == 1


class TlsListener:
    """RabbitMQ's listener for TLS, with the files of a folder: what an operator exchanges there."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self._broker = broker
        self.port = free_port()
        files = {"cacertfile": "ca.pem", "certfile": "server.pem", "keyfile": "server.key"}
        options = ", ".join(f'{{{option}, "{folder / file}"}}' for option, file in files.items())
        broker.control("eval", f'rabbit_networking:start_ssl_listener({{"127.0.0.1", {self.port}}}, [{options}], 2).')

    def close(self) -> None:
        """The broker is others', too."""
        self._broker.control("eval", f'rabbit_networking:stop_tcp_listener({{"127.0.0.1", {self.port}}}).')

    def shows_what_is_in_the_files(self) -> None:
        """To everybody, who must come again."""
        self._broker.control("eval", "ssl:clear_pem_cache().")
        self._broker.control("close_all_user_connections", "scheduler", "rotation")

    def is_believed_by(self, authority: Path) -> bool:
        context = ssl.create_default_context(cafile=authority)
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=60) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1"),
            ):
                return True
        except ssl.SSLCertVerificationError:
            return False

    def carries(self) -> bool:
        """Whether the scheduler is connected over it."""
        return "scheduler\ttrue" in self._broker.control("list_connections", "user", "ssl")


def test_the_scheduler_follows_rabbitmqs_certificate_to_another_authority(
    tmp_path: Path, store_url: str, rabbitmq_server: PrivateRabbitMQ
) -> None:
    for name in ("before", "after", "tls"):
        (tmp_path / name).mkdir()
    before, after = make_certificates(tmp_path / "before"), make_certificates(tmp_path / "after")
    tls = tmp_path / "tls"
    for file in ("ca.pem", "server.pem", "server.key"):
        shutil.copy(before / file, tls)
    authorities = tmp_path / "authorities.pem"
    shutil.copy(before / "ca.pem", authorities)
    listener = TlsListener(Broker(rabbitmq_server), tls)
    url = rabbitmq_server.scheduler_url.replace("amqp:", "amqps:").replace(
        f":{rabbitmq_server.port}", f":{listener.port}"
    )
    settings = f"""
        database = {{ url = "{store_url}" }}
        amqp = {{ url = "{url}", ca_file = "{authorities}" }}
    """
    with contextlib.closing(listener), running(tmp_path, "mig-scheduler", settings) as scheduler:
        scheduler.says("started; relays: https, amqp")
        eventually(listener.carries)

        authorities.write_text((before / "ca.pem").read_text() + (after / "ca.pem").read_text())
        scheduler.hang_up()
        scheduler.says("started; relays: https, amqp", times=2)
        for file in ("ca.pem", "server.pem", "server.key"):
            shutil.copy(after / file, tls)
        listener.shows_what_is_in_the_files()
        assert not listener.is_believed_by(before / "ca.pem")
        assert listener.is_believed_by(after / "ca.pem")
        eventually(listener.carries)

        shutil.copy(after / "ca.pem", authorities)
        scheduler.hang_up()
        scheduler.says("started; relays: https, amqp", times=3)
        eventually(listener.carries)
