"""Runs the SQL of docs/fleet.md over an export and prints what it finds.

    python run.py duckdb|spark PAGE EXPORT RUN [NAME...]

Prints, for each of the named blocks (all, where none is named), a line with its name, and then its rows as JSON; how long it took on standard error. With `spark`, a master and two
workers are started as processes, and ended in the end, whatever happens.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

BLOCKS = ["differences", "verdicts", "rot"]


def block(page, name):
    """The statements of the fenced block with this name; there is only one."""
    found = re.findall(r"^```sql %s\n(.*?)^```" % re.escape(name), page, re.MULTILINE | re.DOTALL)
    if len(found) != 1:
        sys.exit(f"{len(found)} blocks {name}")
    # A comment may hold a semicolon, a text does not.
    text = re.sub(r"--.*", "", found[0])
    return [statement.strip() for statement in text.split(";") if statement.strip()]


def shown(value):
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def run(engine, page, names, execute):
    """`execute` gives the names of the columns and the rows of a statement."""
    for statement in block(page, f"{engine}-tables"):
        execute(statement)
    for name in names:
        statements = block(page, name)
        if name == "differences":
            # The next statement uses them as well.
            statements += ["CACHE TABLE differences"] if engine == "spark" else []
            statements.append("SELECT * FROM differences")
        begun = time.monotonic()
        for statement in statements:
            columns, rows = execute(statement)
        print(f"{engine}: {name}: {len(rows)} rows in {time.monotonic() - begun:.2f} s", file=sys.stderr)
        print(f"## {name}")
        for row in rows:
            print(json.dumps(dict(zip(columns, map(shown, row)))))


def with_duckdb(page, names):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.execute("SET memory_limit = '1GB'")

    def execute(statement):
        cursor = connection.execute(statement)
        columns = [column[0] for column in cursor.description or []]
        # Times come as numbers: their texts would need a list of time zones.
        casts = [
            f'epoch_us("{column[0]}") AS "{column[0]}"' if "TIME ZONE" in str(column[1]).upper() else f'"{column[0]}"'
            for column in cursor.description or []
        ]
        if not statement.upper().startswith("SELECT"):
            return columns, []
        return columns, connection.execute(f"SELECT {', '.join(casts)} FROM ({statement})").fetchall()

    run("duckdb", page, names, execute)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Cluster:
    """A standalone master and two workers."""

    def __init__(self, home):
        import pyspark

        self.spark_class = os.path.join(os.path.dirname(pyspark.__file__), "bin", "spark-class")
        self.home = home
        self.processes = []

    def __enter__(self):
        try:
            port, page = free_port(), free_port()
            self.url = f"spark://127.0.0.1:{port}"
            master = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page)]
            self.start("master", "org.apache.spark.deploy.master.Master", master)
            self.wait(page, 0)
            for number in (1, 2):
                place = os.path.join(self.home, f"worker-{number}")
                worker = ["--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "700m", "--work-dir", place, self.url]
                self.start(f"worker-{number}", "org.apache.spark.deploy.worker.Worker", worker)
            self.wait(page, 2)
            return self
        except BaseException:
            self.__exit__()
            raise

    def start(self, name, what, arguments):
        environment = dict(os.environ, SPARK_LOCAL_IP="127.0.0.1", SPARK_DAEMON_MEMORY="256m")
        log = open(os.path.join(self.home, f"{name}.log"), "wb")
        # A group of its own, so that what a worker starts ends with it.
        process = subprocess.Popen(
            [self.spark_class, what, *arguments], env=environment, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )
        self.processes.append((name, process))

    def wait(self, page, workers):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for name, process in self.processes:
                if process.poll() is not None:
                    log = open(os.path.join(self.home, f"{name}.log"), errors="replace").read()
                    raise RuntimeError(f"{name} ended with {process.returncode}:\n{log}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
                    if json.load(answer)["aliveworkers"] >= workers:
                        return
            except OSError:
                pass
            time.sleep(0.2)
        raise RuntimeError(f"no {workers} workers within two minutes")

    def __exit__(self, *_):
        for _, process in reversed(self.processes):
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        for _, process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def with_spark(page, names):
    from pyspark.sql import SparkSession

    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    home = tempfile.mkdtemp(prefix="twintree-spark-")
    try:
        with Cluster(home) as cluster:
            builder = SparkSession.builder.master(cluster.url).appName("twintree")
            for name, value in {
                "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1",
                "spark.driver.memory": "600m",
                "spark.executor.memory": "600m",
                "spark.executor.cores": "1",
                "spark.sql.shuffle.partitions": "4",
                "spark.sql.session.timeZone": "UTC",
                "spark.sql.warehouse.dir": os.path.join(home, "warehouse"),
                "spark.local.dir": os.path.join(home, "local"),
                "spark.ui.enabled": "false",
                "spark.ui.showConsoleProgress": "false",
                # Hundreds of small files are no hundreds of megabytes.
                "spark.sql.files.openCostInBytes": "131072",
            }.items():
                builder = builder.config(name, value)
            session = builder.getOrCreate()
            session.sparkContext.setLogLevel("ERROR")
            executors(session)

            def execute(statement):
                result = session.sql(statement)
                return result.columns, [tuple(row) for row in result.collect()]

            try:
                run("spark", page, names, execute)
            finally:
                session.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def executors(session):
    """Waits until both workers take part: the driver is listed beside them."""
    deadline = time.monotonic() + 60
    while session.sparkContext._jsc.sc().getExecutorMemoryStatus().size() < 3:
        if time.monotonic() > deadline:
            raise RuntimeError("not both workers take part")
        time.sleep(0.1)


def main():
    engine, page, export, run_id, *names = sys.argv[1:]
    text = open(page, encoding="utf-8").read()
    text = text.replace("${EXPORT}", os.path.abspath(export)).replace("${RUN}", run_id)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to end"))
    {"duckdb": with_duckdb, "spark": with_spark}[engine](text, names or BLOCKS)


if __name__ == "__main__":
    main()
