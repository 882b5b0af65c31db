"""Examples in the help of each command. A test parses every one."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, str]] = {
    "run": (
        "fruitsctl run photos out --local",
        "fruitsctl run s3://my-bucket/photos s3://my-bucket/out --serverless --max-cost 2",
    ),
    "status": ("fruitsctl status", "fruitsctl status 20261121T080000Z-41a4 --json"),
    "logs": ("fruitsctl logs --follow", "fruitsctl logs 20261121T080000Z-41a4 --stderr"),
    "cancel": ("fruitsctl cancel", "fruitsctl cancel 20261121T080000Z-41a4"),
    "ui": ("fruitsctl ui", "fruitsctl ui 20261121T080000Z-41a4"),
    "runs": ("fruitsctl runs", "fruitsctl runs --output s3://my-bucket/out --json"),
    "cost": ("fruitsctl cost", "fruitsctl cost --month 2026-11"),
    "report": ("fruitsctl report --output out", "fruitsctl report --output s3://my-bucket/out --rebuild"),
    "identify": ("fruitsctl identify fruit.jpg --output out", "fruitsctl identify fruit.jpg --wrong Mango"),
    "teach": ("fruitsctl teach my-apple.jpg --label Apple", "fruitsctl teach phone-photos --output s3://my-bucket/out"),
    "notebook": ("fruitsctl notebook", "fruitsctl notebook --serverless --max-cost 2 --dry-run"),
    "serve": ("fruitsctl serve --output out", "fruitsctl serve --host 0.0.0.0 --port 8080"),
    "forget": (
        "fruitsctl forget photos/Apple/one.jpg --output out --dry-run",
        "fruitsctl forget --retention 180d --output s3://my-bucket/out --yes",
    ),
    "sample": ("fruitsctl sample photos", "fruitsctl sample photos --generated --images 200 --classes 10"),
    "demo": ("fruitsctl demo", "fruitsctl demo /tmp/demo --dry-run"),
    "doctor": ("fruitsctl doctor", "fruitsctl doctor --aws"),
    "init": ("fruitsctl init --input photos --output out", "fruitsctl init --region eu-west-3 --dry-run"),
    "image build": ("fruitsctl image build", "fruitsctl image build --target eks --architecture arm64"),
    "image check": ("fruitsctl image check", "fruitsctl image check fruitsctl:eks --architecture arm64"),
    "image push": ("fruitsctl image push", "fruitsctl image push ghcr.io/alice/fruits --tag v1 --dry-run"),
    "data push": (
        "fruitsctl data push photos s3://my-bucket/photos",
        "fruitsctl data push photos s3://my-bucket/photos --strip-metadata",
    ),
    "eks trust": (
        "fruitsctl eks trust --virtual-cluster abc123 --role fruits-eks",
        "fruitsctl eks trust --virtual-cluster abc123 --role fruits-eks > trust.json",
    ),
    "eks status": (
        "fruitsctl eks status 00000003abc --virtual-cluster abc123",
        "fruitsctl eks status 00000003abc --virtual-cluster abc123 --json",
    ),
    "eks cancel": (
        "fruitsctl eks cancel 00000003abc --virtual-cluster abc123",
        "fruitsctl eks cancel 00000003abc --virtual-cluster abc123 --json",
    ),
    "infra plan": ("fruitsctl infra plan", "fruitsctl infra plan --max-vcpu 32 --json"),
    "infra up": (
        "fruitsctl infra up --budget-usd 20 --budget-email you@example.com",
        "fruitsctl infra up --schedule 'cron(0 3 * * ? *)' --alarm-email you@example.com",
    ),
    "infra status": ("fruitsctl infra status", "fruitsctl infra status --region eu-west-1 --json"),
    "infra down": ("fruitsctl infra down --dry-run", "fruitsctl infra down --keep-data"),
    "infra policy": ("fruitsctl infra policy operator > operator.json", "fruitsctl infra policy deployer --own-key --vpc"),
}


def examples(command: str) -> str:
    """Return the end of the help of `command`; the backspace keeps its lines from being joined."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in EXAMPLES[command])])
