"""Job runs of EMR Serverless, their states over time: each has a thread that leads it from SUBMITTED to its end."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tests.aws.standin.applications import AT_REST, Applications
from tests.aws.standin.images import ImageRefusedError
from tests.aws.standin.job_run import OVER, Attempt, JobRun, check_request
from tests.aws.standin.logs import DriverLog
from tests.aws.standin.runner import Context, Ended, Runner
from tests.aws.standin.wire import ServiceError
from tests.aws.standin.workers import spark_settings, workers

# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/jobs-troubleshooting.html
NO_QUOTA = "Job failed as account has reached the service limit on the maximum vCPU it can use concurrently."
NO_CAPACITY = "Worker could not be allocated as the application has exceeded maximumCapacity settings: [{limits}]"
CHECK_LOGS = "Job failed, please check complete logs in configured logging destination. ExitCode: {code}. Last few exceptions: {last}"
KILLED = "ExitCode: 137 (Worker has been killed as memory usage exceeded configured memory size)."


class RefusedError(Exception):
    """The attempt fails; the text is the service's."""


class InterruptedRunError(Exception):
    """Cancelled, by its user or for its time."""


class JobRuns:
    def __init__(self, applications: Applications, runner: Runner, client: Callable[[str, str], Any], quota: Callable[[], float]) -> None:
        self._applications, self.runner, self._client, self._quota = applications, runner, client, quota
        self.durations, self.changed = applications.durations, applications.changed
        self._all: dict[str, JobRun] = {}
        self._tokens: dict[tuple[str, str], tuple[dict[str, Any], JobRun]] = {}
        self._threads: list[threading.Thread] = []

    def get(self, application_id: str, job_run_id: str) -> JobRun:
        self._applications.get(application_id)
        run = self._all.get(job_run_id)
        if run is None or run.application.id != application_id:
            raise ServiceError("ResourceNotFoundException", f"Job run {job_run_id} does not exist")
        return run

    def of(self, application_id: str) -> list[JobRun]:
        """Newest first."""
        found = [run for run in self._all.values() if run.application.id == application_id]
        return sorted(found, key=lambda run: run.created_at, reverse=True)

    def start(self, request: dict[str, Any], region: str, caller: str) -> JobRun:
        with self.changed:
            application = self._applications.get(request["applicationId"])
            token = (application.id, request["clientToken"])
            asked, known = self._tokens.get(token, (None, None))
            if known:
                if asked != request:
                    raise ServiceError("ConflictException", "The client token was used with other parameters")
                return known
            if application.state in ("CREATING", "TERMINATED"):
                raise ServiceError("ValidationException", f"Application {application.id} is in state {application.state}")
            if application.state != "STARTED" and not application.settings["autoStartConfiguration"].get("enabled", True):
                raise ServiceError("ValidationException", f"Application {application.id} is not started, and auto start is disabled")
            check_request(request)
            sizes = workers(spark_settings(application.settings, request))
            run = JobRun(f"00f{secrets.token_hex(6)}0r", application, request, caller, region, sizes)
            self._begin(run)
            self._all[run.id], self._tokens[token] = run, (request, run)
            application.active.add(run.id)
        thread = threading.Thread(target=self._lead, args=(run,), name=f"run {run.id}", daemon=True)
        self._threads.append(thread)
        thread.start()
        return run

    def cancel(self, run: JobRun, grace_seconds: float) -> None:
        with self.changed:
            if run.attempt.state in OVER:
                raise ServiceError("ValidationException", f"Job run {run.id} is in state {run.attempt.state}, it cannot be cancelled")
            if run.attempt.state != "CANCELLING":
                run.grace_seconds = grace_seconds
                self._to(run, "CANCELLING")
                run.stop("")

    def close(self) -> None:
        for run in self._all.values():
            run.stop("the stand-in ends")
        for thread in self._threads:
            thread.join()

    def _lead(self, run: JobRun) -> None:
        attempts = run.request.get("retryPolicy", {}).get("maxAttempts", 1)
        while True:
            try:
                state, details = self._attempt(run)
            except RefusedError as error:
                state, details = "FAILED", str(error)
            except InterruptedRunError:
                state, details = ("FAILED", run.reason) if run.fails else ("CANCELLED", run.reason)
            if state != "FAILED" or run.attempt.number >= attempts or run.stopping.is_set():
                break
            with self.changed:
                self._to(run, state, details)
                self._begin(run)
        if state == "CANCELLED":
            self._to(run, "CANCELLING", details)
            self._applications.closed.wait(self.durations.cancelling)
        with self.changed:
            run.ended_at = datetime.now(UTC)
            run.application.active.discard(run.id)
            run.application.running.discard(run.id)
            self._to(run, state, details)
            if run.application.state == "STARTED":
                self._applications.idle(run.application)

    def _attempt(self, run: JobRun) -> tuple[str, str]:
        self._pause(run, self.durations.submitted)
        self._queue(run)
        self._to(run, "PENDING")
        self._started(run)
        self._pause(run, self.durations.pending)
        self._to(run, "SCHEDULED")
        self._pause(run, self.durations.scheduled)
        with self._turn(run):
            ended = self._carry_out(run)
        if run.stopping.is_set():
            raise InterruptedRunError
        if ended.code == 0:
            return "SUCCESS", ""
        if ended.code == 137:
            return "FAILED", KILLED
        last = next((line.strip() for line in reversed(ended.stderr) if line.strip()), "")
        return "FAILED", CHECK_LOGS.format(code=ended.code, last=last)[:256]

    def _queue(self, run: JobRun) -> None:
        """https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/job-concurrency-queuing.html"""
        application = run.application
        scheduler = application.settings.get("schedulerConfiguration", {})
        began = time.monotonic()
        with self.changed:
            while len(application.running - {run.id}) >= scheduler.get("maxConcurrentRuns", 15):
                if run.attempt.state != "QUEUED":
                    self._to(run, "QUEUED")
                if time.monotonic() - began > scheduler.get("queueTimeoutMinutes", 360) * self.durations.minute:
                    raise RefusedError("Job run was in the queue for longer than queueTimeoutMinutes")
                self.changed.wait(0.02)
                self._raise_if_stopping(run)
            application.running.add(run.id)
            if run.attempt.state == "QUEUED":
                run.queued_seconds += time.monotonic() - began

    def _started(self, run: JobRun) -> None:
        application = run.application
        with self.changed:
            asked = False
            while application.state != "STARTED":
                if asked and application.state == "STOPPED":
                    raise RefusedError(application.details or "Application was stopped")
                if application.state in AT_REST:
                    self._applications.start(application.id)
                    asked = True
                self.changed.wait(0.02)
                self._raise_if_stopping(run)
        try:
            run.digest = (
                application.digest if application.fixes_digest or not application.image else self._applications.resolve(application)
            )
        except ImageRefusedError as error:
            raise RefusedError(str(error)[:256]) from error

    @contextmanager
    def _turn(self, run: JobRun) -> Iterator[None]:
        """A run that is cancelled while it waits was never started, and is not billed."""
        turns = getattr(self.runner, "turns", None) or threading.Lock()
        while not turns.acquire(timeout=0.02):
            self._raise_if_stopping(run)
        try:
            yield
        finally:
            turns.release()

    def _carry_out(self, run: JobRun) -> Ended:
        place = f"applications/{run.application.id}/jobs/{run.id}"
        if run.attempt.number > 1:
            place += f"/attempts/{run.attempt.number}"
        overrides = run.request.get("configurationOverrides", {}).get("monitoringConfiguration")
        monitoring = overrides or run.application.settings.get("monitoringConfiguration", {})
        log = DriverLog(self._client, run.region, monitoring, f"{place}/SPARK_DRIVER", self.durations.log)
        image = f"{run.application.image}".partition("@")[0] + f"@{run.digest}" if run.digest else None
        context = Context(run.id, run.attempt.number, image, run.region, log.write, run.stopping, run.grace_seconds)
        minutes = run.request.get("executionTimeoutMinutes", 720)
        clocks = [
            threading.Timer(minutes * self.durations.minute, run.stop, [f"Job run exceeded its execution timeout of {minutes} minutes"])
        ]
        lacking = self._lacking(run)
        if lacking:
            clocks.append(threading.Timer(self.durations.capacity, run.stop, [lacking, True]))
        with self.changed:
            run.started_at = run.started_at or datetime.now(UTC)
            self._to(run, "RUNNING")
        began = time.monotonic()
        for clock in clocks:
            clock.daemon = True
            clock.start()
        try:
            ended = self.runner(run.request, context)
            if lacking:
                run.stopping.wait()  # the driver waits for its executors
        finally:
            for clock in clocks:
                clock.cancel()
            run.seconds += (time.monotonic() - began) / self.durations.minute * 60
        for stream, lines in (("stdout", ended.stdout), ("stderr", ended.stderr)):
            for line in lines:
                log.write(stream, line)
        log.close()
        return ended

    def _lacking(self, run: JobRun) -> str | None:
        """Dynamic allocation takes all executors it may have: why it cannot, None if it can."""
        executors = 10_000 if run.workers.executors is None else run.workers.executors
        if run.workers.vcpu(executors) > self._quota():
            return NO_QUOTA
        limit = run.application.settings.get("maximumCapacity", {})
        wanted = {"cpu": run.workers.vcpu(executors), "memory": run.workers.memory_gb(executors), "disk": run.workers.disk_gb(executors)}
        reached = [f"{name}: {size}" for name, size in limit.items() if wanted[name] > int(size.split()[0].rstrip("vVcCpPuUgGbB"))]
        return NO_CAPACITY.format(limits=", ".join(reached)) if reached else None

    def _begin(self, run: JobRun) -> None:
        now = datetime.now(UTC)
        run.attempts.append(Attempt(len(run.attempts) + 1, now, now))

    def _pause(self, run: JobRun, seconds: float) -> None:
        if seconds:
            run.stopping.wait(seconds)
        self._raise_if_stopping(run)

    def _raise_if_stopping(self, run: JobRun) -> None:
        if run.stopping.is_set():
            raise InterruptedRunError

    def _to(self, run: JobRun, state: str, details: str = "") -> None:
        with self.changed:
            if run.attempt.state == "CANCELLING" and state not in (*OVER, "CANCELLING"):
                return  # a cancel came in between
            run.attempt.state, run.attempt.details, run.attempt.updated_at = state, details, datetime.now(UTC)
            self.changed.notify_all()
