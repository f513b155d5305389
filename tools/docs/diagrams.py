"""Draw the diagrams of the pages as SVG: ``python tools/docs/diagrams.py``.

GitHub draws them from their source; the site shows these pictures, so that it loads no script from
elsewhere. Needs npm, for mermaid (MIT licence), and Chromium. A test says which picture is old.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
MERMAID = "mermaid@11.6.0"
SHA256 = "3a93016a73dc82ba890d919f9bbb176f3da9d98341650c0b517f2595cc68fef8"
BLOCK = re.compile(r"(?ms)^```mermaid\n(.*?)^```$")
PAGE = """<!doctype html><meta charset="utf-8"><script src="mermaid.js"></script><pre></pre><script>
mermaid.initialize({{startOnLoad: false, theme: "neutral", htmlLabels: false,
  flowchart: {{useMaxWidth: false, wrappingWidth: 320, nodeSpacing: 20}},
  fontFamily: "sans-serif"}});
mermaid.render("diagram", {source}).then(({{svg}}) => {{
  const drawn = new DOMParser().parseFromString(svg, "text/html").querySelector("svg");
  drawn.style.backgroundColor = "white";
  document.querySelector("pre").textContent = new XMLSerializer().serializeToString(drawn);
}});
</script>"""


def picture(source: str) -> str:
    """Return the path of a diagram's picture, which is named after the diagram's source."""
    return f"docs/images/diagrams/{hashlib.sha256(source.encode()).hexdigest()[:16]}.svg"


def title(source: str) -> str:
    """Return what a diagram shows, in words."""
    return source.partition("accTitle: ")[2].partition("\n")[0]


def sources() -> list[str]:
    """Return the sources of all diagrams of the pages."""
    return [
        source for page in sorted(DOCS.rglob("*.md")) for source in BLOCK.findall(page.read_text())
    ]


def draw(source: str, folder: Path) -> str:
    """Return a diagram as SVG, drawn by the mermaid.js in a folder."""
    page = folder / "page.html"
    page.write_text(PAGE.format(source=json.dumps(source)))
    browser = shutil.which("chromium") or "chromium-browser"
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=20000",
    ]
    command += [f"--user-data-dir={folder}/chromium", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    drawn = html.unescape(shown.partition("<pre>")[2].partition("</pre>")[0])
    if not drawn.startswith("<svg"):
        raise SystemExit(f"this diagram could not be drawn:\n{source}")
    return drawn


def main() -> None:
    """Draw all of them anew."""
    shutil.rmtree(DOCS / "images/diagrams", ignore_errors=True)
    (DOCS / "images/diagrams").mkdir()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["npm", "pack", "--silent", MERMAID], cwd=folder, check=True)
        with tarfile.open(next(folder.glob("*.tgz"))) as tar:
            tar.extract("package/dist/mermaid.min.js", folder, filter="data")
        script = (folder / "package/dist/mermaid.min.js").rename(folder / "mermaid.js").read_bytes()
        if hashlib.sha256(script).hexdigest() != SHA256:
            raise SystemExit(f"npm gives another {MERMAID}: {hashlib.sha256(script).hexdigest()}")
        for source in sources():
            (ROOT / picture(source)).write_text(draw(source, folder) + "\n")


if __name__ == "__main__":
    main()
