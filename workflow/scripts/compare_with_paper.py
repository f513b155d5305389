"""Put the run's numbers beside the paper's, and judge its claims."""

from pathlib import Path

from metamers import job, provenance, tabulation

job.begin(snakemake)

config = snakemake.params.config
found = tabulation.compare_with_paper(snakemake.input, config, snakemake.params.zoo)
paths = [snakemake.output.paper_comparison, snakemake.output.claims]
tabulation.write_all(found, paths, provenance.stamp(config))
Path(snakemake.output.numbers).write_text(
    tabulation.comparison_page(found["paper_comparison"], config)
)
Path(snakemake.output.page).write_text(tabulation.claims_page(found["claims"], config))
