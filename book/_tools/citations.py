"""Labels of the literature, the same in the text, in the list and in the twins.

A paper that has a name is cited by it: [DeepID2+]. All others are cited as [Chen et al., 2012]. The name is the field
`shorthand` of an entry in references.bib; two entries with one label need it, too. The list is sorted by label.
"""

from dataclasses import dataclass, field

from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style as UnsortedStyle
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.sorting import BaseSortingStyle
from pybtex.style.template import field as pybtex_field
from pybtex.style.template import first_of, join, optional


def names_of(entry) -> str:
    """ "Chen", "Kingma and Ba" or "Sun et al."."""
    persons = entry.persons.get("author") or entry.persons["editor"]
    last = [" ".join([*person.prelast_names, *person.last_names]).strip("{}") for person in persons]
    return f"{last[0]} et al." if len(last) > 2 else " and ".join(last)


def short(entry) -> str:
    """What stands in brackets behind the names: the paper's name or its year."""
    return entry.fields.get("shorthand") or entry.fields["year"]


def label(entry) -> str:
    """What stands in brackets alone."""
    return entry.fields.get("shorthand") or f"{names_of(entry)}, {entry.fields['year']}"


class LabelStyle(BaseLabelStyle):
    def format_labels(self, sorted_entries):
        return map(label, sorted_entries)


class SortingStyle(BaseSortingStyle):
    def sorting_key(self, entry):
        return label(entry).lower()


class Style(UnsortedStyle):
    default_label_style = LabelStyle
    default_sorting_style = SortingStyle


register_plugin("pybtex.style.formatting", "named", Style)


def setup(app):
    """Register the style of the references in the text; `bibtex_reference_style` and `bibtex_default_style`: named."""
    from sphinxcontrib.bibtex import plugin
    from sphinxcontrib.bibtex.style import template
    from sphinxcontrib.bibtex.style.referencing import BracketStyle, GroupReferenceStyle, PersonStyle
    from sphinxcontrib.bibtex.style.referencing.basic_author_year import BasicAuthorYearTextualReferenceStyle
    from sphinxcontrib.bibtex.style.referencing.basic_label import BasicLabelParentheticalReferenceStyle

    class Textual(BasicAuthorYearTextualReferenceStyle):
        """Sun et al. [DeepID2+]; Chen et al. [2012]."""

        def inner(self, role_name):
            name = first_of[optional[pybtex_field("shorthand")], template.year]
            return join(sep=" ")[
                self.person.author_or_editor_or_title(full="s" in role_name),
                join[self.bracket.left, template.reference[name], self.bracket.right],
            ]

    @dataclass
    class NamedReferenceStyle(GroupReferenceStyle):
        bracket: BracketStyle = field(default_factory=lambda: BracketStyle(sep="; "))
        person: PersonStyle = field(default_factory=PersonStyle)

        def __post_init__(self):
            self.styles += [BasicLabelParentheticalReferenceStyle(bracket=self.bracket), Textual()]
            super().__post_init__()

    plugin.register_plugin("sphinxcontrib.bibtex.style.referencing", "named", NamedReferenceStyle, force=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
