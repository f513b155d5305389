"""Put the run's numbers beside the paper's, and judge its claims."""

from pathlib import Path

from metamers import snakemake_script
from metamers.analysis import tabulate
from metamers.storage import provenance

snakemake_script.start_logging(snakemake)

config = snakemake.params.config
found = tabulate.compare_with_paper(snakemake.input, config, snakemake.params.zoo)
tabulate.write_all(found, snakemake.output, provenance.stamp(config))
Path(snakemake.output.numbers).write_text(
    tabulate.comparison_page(found["paper_comparison"], config)
)
Path(snakemake.output.page).write_text(
    tabulate.claims_page(found["claims"], config, found["claims_multiverse"])
)
