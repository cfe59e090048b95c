"""Dates in text: ISO, day first, month first, and English month names, each with or without a time of day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

Order = Literal["year first", "day first", "month first"]
# A time of day after a date, and its offset from UTC.
_TIME = r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?\s*([AaPp][Mm])?\s*(?:Z|UTC|([+-]\d{2}):?(\d{2}))?)?"
_YEAR_FIRST = rf"^(?P<y>\d{{4}})[-/.](?P<m>\d{{1,2}})(?:[-/.](?P<d>\d{{1,2}}))?{_TIME}$"
_COMPACT = r"^(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})$"
_YEAR_LAST = rf"^(\d{{1,2}})[-/. ](\d{{1,2}})[-/. ](\d{{4}}|\d{{2}}){_TIME}$"
_DAY_MONTH = rf"^(?P<d>\d{{1,2}})[-/. ]*(?P<m>[A-Za-z]{{3,9}})\.?[-/., ]*(?P<y>\d{{4}}|\d{{2}}){_TIME}$"
_MONTH_DAY = rf"^(?P<m>[A-Za-z]{{3,9}})\.? +(?P<d>\d{{1,2}}),? +(?P<y>\d{{4}}){_TIME}$"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True)
class DateForm:
    """The date format of a column. `ambiguous`: every cell is also a date in the other order of day and month."""

    order: Order
    ambiguous: bool = False


def find_form(cells: pl.Series, order: Order | None = None) -> tuple[DateForm, pl.Series] | None:
    """The format in which all or nearly all texts are dates, and their days, null for the others; else None.

    If all dates are ambiguous, as 3/4/2020, slashes mean month first, and points and dashes mean day first.
    """
    sample = cells.head(50)
    if not sample.str.contains(r"^\d{1,4}[-/. ]*\d{1,2}|[A-Za-z]{3}").all():
        return None
    forms = []
    for candidate in ("year first", "day first", "month first") if order is None else (order,):
        some = to_days(sample, DateForm(candidate))
        if some.count() * 10 >= len(sample) * 9:
            forms.append((DateForm(candidate), to_days(cells, DateForm(candidate))))
    whole = [(form, days) for form, days in forms if not days.null_count()]
    if len(whole) == 2:
        if whole[0][1].equals(whole[1][1], check_names=False):  # months by name, or 3/3/2020
            return whole[0]
        slashed = cells.str.contains("/", literal=True).any()
        form, days = whole[1 if slashed else 0]
        return DateForm(form.order, ambiguous=True), days
    if whole:
        return whole[0]
    form, days = max(forms, key=lambda found: found[1].count(), default=(DateForm("year first"), cells.head(0)))
    return (form, days) if days.count() * 10 >= len(cells) * 9 and len(cells) else None


def to_days(cells: pl.Series, form: DateForm) -> pl.Series:
    """Text as days since 1970-01-01 (Float64; in UTC if an offset is given; the time is the fraction), else null."""
    import polars as pl

    text = cells.str.strip_chars().alias("text").to_frame()
    if form.order == "year first":
        days = text.select(pl.coalesce(_from(_YEAR_FIRST, 1, 2, 3, 4), _from(_COMPACT, 1, 2, 3, None)))
    else:
        day, month = (1, 2) if form.order == "day first" else (2, 1)
        named = pl.coalesce(_from(_DAY_MONTH, 3, 2, 1, 4), _from(_MONTH_DAY, 3, 1, 2, 4))
        days = text.select(pl.coalesce(_from(_YEAR_LAST, 3, month, day, 4), named))
    return days.to_series().rename(cells.name)


def _from(pattern: str, year: int, month: int, day: int, time: int | None) -> pl.Expr:
    """Days of the texts that match a pattern; `year`, `month`, `day` are its groups, `time` the first of the time's."""
    import polars as pl

    def group(number: int) -> pl.Expr:
        return pl.col("text").str.extract(pattern, number)

    name = group(month).str.to_lowercase().str.slice(0, 3)
    number = pl.coalesce(
        name.replace_strict(_MONTHS, [str(n) for n in range(1, 13)], default=None, return_dtype=pl.String), group(month)
    )
    # As in POSIX: 69 is 1969, 68 is 2068.
    short = group(year).cast(pl.Int32, strict=False)
    full = pl.when(group(year).str.len_chars() == 2).then(short + pl.when(short < 69).then(2000).otherwise(1900))
    date = pl.concat_str(
        full.otherwise(short).cast(pl.String).str.zfill(4),
        number.str.zfill(2),
        group(day).fill_null("1").str.zfill(2) if pattern == _YEAR_FIRST else group(day).str.zfill(2),
        separator="-",
    ).str.to_date("%Y-%m-%d", strict=False)
    days = date.cast(pl.Int32).cast(pl.Float64)
    if time is None:
        return days
    hours = group(time).cast(pl.Float64, strict=False)
    half = group(time + 3).str.to_lowercase()
    hours = pl.when(half.is_null()).then(hours).otherwise(hours % 12 + pl.when(half == "pm").then(12).otherwise(0))
    minutes = group(time + 1).cast(pl.Float64, strict=False)
    seconds = group(time + 2).str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    zone = group(time + 4).cast(pl.Float64, strict=False)
    offset = zone + group(time + 5).cast(pl.Float64, strict=False) / 60 * zone.sign()
    within = hours.fill_null(0) + minutes.fill_null(0) / 60 + seconds.fill_null(0) / 3600
    # 24:00 is the next day's 0:00.
    return pl.when((within <= 24) & (minutes.fill_null(0) < 60)).then(days + (within - offset.fill_null(0)) / 24)
