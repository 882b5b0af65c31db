"""Summarise a run in a dozen lines."""

from __future__ import annotations

import os
import shlex

from job.contract.filenames import describe_ignored
from job.contract.params import Params
from job.contract.records import Manifest, counted, stage_title
from job.contract.uris import is_s3, local_path


def summary(manifest: Manifest, params: Params, where: str) -> str:
    """Return a dozen lines about a run; `where`: the options of the target that repeat it."""
    counts, stages = manifest.counts, manifest.stages
    seconds = sum(stage.seconds for stage in stages.values())
    embedded = f"{counts['embedded']:,} embedded now" if counts["new"] else "nothing new, nothing embedded"
    lines = [
        f"Run {manifest.run_id}: finished in {seconds:.0f} s",
        "",
        f"  images      {counts['listed']:,} listed, {embedded}, {counts['rows']:,} in the result, {counted(counts['labels'], 'labels')}",
    ]
    others = {
        "rejected": ", ".join(f"{count} {reason}" for reason, count in sorted(manifest.rejects.items(), key=lambda item: -item[1])),
        "ignored": describe_ignored(manifest.ignored),
    }
    lines += [f"  {name:<11} {counts[name]:,}: {text}" for name, text in others.items() if text]
    if counts["removed"]:
        lines.append(f"  removed     {counts['removed']:,} no longer in INPUT, kept in features/ but not in this result")
    source = "" if manifest.fitted_by == manifest.run_id else f", fitted by {manifest.fitted_by}"
    if params.fit_on:
        source = f", fitted on {counted(stages['fit'].images, 'images')} of `{params.fit_on}`"
    lines.append(f"  PCA         k = {manifest.k}, {manifest.variance:.1%} of the variance{source}")
    lines += [f"  note        {note}" for note in manifest.notes]
    lines += ["", "  stage            seconds   images/s"]
    for name, stage in stages.items():
        rate = f"{stage.images_per_second:>10,.0f}" if stage.images else ""
        lines.append(f"  {stage_title(name):<17}{stage.seconds:>7.1f} {rate}".rstrip())
    here = shown(params.output)
    lines.append("")
    if manifest.identify is not None:  # known by the report; why there is none is a note
        # Of the other targets OUTPUT is not remembered, and that of the local stack is not reached from outside.
        opens = {"--local": "   (fruitsctl report opens it)", "--compose": ""}.get(where, f"   (fruitsctl report --output {here} opens it)")
        lines.append(f"  report      {here}/runs/{manifest.run_id}/report.html{opens}")
    lines += [
        f"  matrix      {here}/runs/{manifest.run_id}/csv/   (uri, label, pc1 … pc{manifest.k}; an array in pca/)",
        f"  variance    {here}/runs/{manifest.run_id}/variance.csv",
        f"  features    {here}/features/   (Delta table, one row per image)",
        "",
        "Next: add photos and run again; only new photos are embedded:",
        " ".join([f"  fruitsctl run {shlex.quote(shown(params.input))} {shlex.quote(here)} {where}", *map(shlex.quote, params.options())]),
    ]
    return "\n".join(lines)


def shown(uri: str) -> str:
    """Return a local path below the working directory as the user would type it."""
    if is_s3(uri):
        return uri
    path = os.path.relpath(local_path(uri))
    return local_path(uri) if path.startswith("..") else path
