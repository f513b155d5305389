"""Put the run's numbers beside the paper's, and judge its claims."""

from pathlib import Path

from metamers.analysis import tabulate
from metamers.config import integrity
from metamers.storage import provenance

job = integrity.begin(snakemake)

config = job.plan.config
found = tabulate.compare_with_paper(snakemake.input, config, job.plan.used_rows)
tabulate.write_all(found, snakemake.output, provenance.stamp(config))
Path(snakemake.output.numbers).write_text(
    tabulate.comparison_page(found["paper_comparison"], config)
)
Path(snakemake.output.page).write_text(
    tabulate.claims_page(found["claims"], config, found["claims_multiverse"])
)
job.finish()
