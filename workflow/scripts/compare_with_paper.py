"""Put the run's numbers beside the paper's, and judge its claims."""

from pathlib import Path

from metamers.analysis import pages, tabulate
from metamers.config import integrity
from metamers.storage import baseline_tables, provenance, recognition_tables, tables

job = integrity.begin(snakemake)

config = job.plan.config
found = tabulate.compare_with_paper(snakemake.input.tables, config, job.plan.used_rows)
tabulate.write_all(found, snakemake.output, provenance.stamp(config))
success = tables.read(baseline_tables.SUCCESS, snakemake.input.success)
by_set = tables.read(recognition_tables.RECOGNIZABILITY_BY_SET, snakemake.input.by_set)
claims = tabulate.claims_page(
    found["claims"],
    config,
    found["claims_multiverse"],
    success,
    tabulate.of_controls(by_set, job.plan),
)
evaluation = Path(snakemake.scriptdir).resolve().parents[1] / "docs/evaluation.md"
Path(snakemake.output.numbers).write_text(pages.comparison_page(found["paper_comparison"], config))
Path(snakemake.output.text).write_text(
    claims.replace("(evaluation.md)", "(../../docs/evaluation.md)")
)
Path(snakemake.output.page).write_text(pages.claims_page(claims, evaluation.read_text()))
job.finish()
