"""Make the page on which a run's metamers can be looked through."""

from pathlib import Path

from metamers import snakemake_script
from metamers.gallery import folder
from metamers.gallery.run_tables import RunTables
from metamers.storage import metamers

snakemake_script.start_logging(snakemake)

files = snakemake.input.metamers
notes = [metamers.notes_of(path) for path in files]
run = RunTables.read(snakemake.input.tables, notes, snakemake.params.config, snakemake.params.zoo)
folder.write(Path(snakemake.output[0]), run, files, snakemake.input.references)
