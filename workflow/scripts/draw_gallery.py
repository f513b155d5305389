"""Make the page on which a run's metamers can be looked through."""

from pathlib import Path

from metamers.config import integrity
from metamers.gallery import folder
from metamers.gallery.run_tables import RunTables
from metamers.storage import metamers

job = integrity.begin(snakemake)

files = snakemake.input.metamers
notes = [metamers.notes_of(path) for path in files]
run = RunTables.read(snakemake.input.tables, notes, job.plan.config, job.plan.used_rows)
folder.write(Path(snakemake.output[0]).parent, run, files, snakemake.input.references)
job.finish()
