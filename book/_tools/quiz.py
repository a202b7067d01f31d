"""Sphinx extension: the directive `quiz`, questions that answer in the page.

The form works with `_static/quiz.js`. Without scripts, in print and in an ePub the same page shows the question, its
lettered answers and a folded part with the reasons. `questions.py` says what the directive's body looks like.
"""

from html import escape

from docutils import nodes
from docutils.statemachine import StringList
from questions import HOW, QuizError, read_questions
from sphinx.util.docutils import SphinxDirective


# Each is a kind of a common node, so that builders without a visitor of their own show plain paragraphs and lists.
class quiz(nodes.container):
    """All questions of one directive."""


class quiz_question(nodes.container):
    """One question: quiz_ask, more blocks of its text, quiz_choices, quiz_answer."""


class quiz_ask(nodes.paragraph):
    """The first paragraph of a question: the legend of its fields."""


class quiz_choices(nodes.enumerated_list):
    """The lettered answers."""


class quiz_choice(nodes.list_item):
    """One answer: a single paragraph, because it stands in a label."""


class quiz_answer(nodes.container):
    """What is right and why: one quiz_reason an answer or hint."""


class quiz_reason(nodes.container):
    """The reason of one answer, or the hint for one wrong number."""


class QuizDirective(SphinxDirective):
    """```{quiz}``` with the questions as YAML."""

    has_content = True

    def run(self):
        try:
            questions = read_questions("\n".join(self.content))
            return [quiz("", *[self.question(question, place) for place, question in enumerate(questions, 1)])]
        except QuizError as error:
            raise self.error(f"quiz: {error}") from None

    def question(self, question, place: int) -> quiz_question:
        name = nodes.make_id(f"quiz-{self.env.docname}-{self.env.new_serialno('quiz') + 1}")
        ask, *more = self.blocks(question.ask)
        node = quiz_question(
            "",
            quiz_ask("", "", nodes.strong("", f"{place}."), nodes.Text(" "), *inline(ask)),
            *more,
            ids=[name],
            kind=question.kind,
        )
        answer = quiz_answer(question=name, kind=question.kind)
        if question.kind == "number":
            answer["number"], answer["within"] = question.number, question.within
            answer += self.reason(f"{question.right} is right.", question.because, right=True)
            for wrong, text in question.hints.items():
                answer += self.reason(f"Not {wrong}.", text, number=wrong)
        else:
            choices = quiz_choices(enumtype="upperalpha", prefix="", suffix=".", kind=question.kind)
            for letter, choice in question.lettered():
                choices += quiz_choice(
                    "",
                    *inline(*self.blocks(choice.text)),
                    question=name,
                    letter=letter,
                    kind=question.kind,
                    right=choice.right,
                )
                verdict = f"{letter} is {'right' if choice.right else 'wrong'}."
                answer += self.reason(verdict, choice.because, right=choice.right, letter=letter)
            node += choices
        node += answer
        return node

    def reason(self, verdict: str, text: str, **attributes) -> quiz_reason:
        blocks = self.blocks(text)
        if not isinstance(blocks[0], nodes.paragraph):
            blocks.insert(0, nodes.paragraph())
        blocks[0][:0] = [nodes.strong("", verdict), nodes.Text(" ")]
        return quiz_reason("", *blocks, **attributes)

    def blocks(self, text: str) -> list:
        """The nodes of a Markdown text."""
        parsed = nodes.container()
        self.state.nested_parse(StringList(text.split("\n"), self.env.docname), self.content_offset, parsed)
        return parsed.children


def inline(block, *more) -> list:
    """What stands in a single paragraph; anything else in its place cannot be part of a label."""
    if more or not isinstance(block, nodes.paragraph):
        raise QuizError(f"this has to be one paragraph: {block.astext()[:60]!r}")
    return block.children


# --- HTML ---


def static(writer) -> bool:
    """An ePub has no scripts, so it gets no form."""
    return writer.builder.name == "epub"


def visit_quiz(writer, node):
    writer.body.append('<div class="quiz">\n')


def depart_div(writer, node):
    writer.body.append("</div>\n")


def visit_question(writer, node):
    start = (
        '<div class="quiz-question" id="{}">\n'
        if static(writer)
        else ('<form class="quiz-question" id="{}" autocomplete="off" novalidate="novalidate"><fieldset>\n')
    )
    writer.body.append(start.format(node["ids"][0]))


def depart_question(writer, node):
    writer.body.append("</div>\n" if static(writer) else "</fieldset></form>\n")


def visit_ask(writer, node):
    writer.body.append('<p class="quiz-ask">' if static(writer) else '<legend class="quiz-ask">')


def depart_ask(writer, node):
    writer.body.append("</p>\n" if static(writer) else "</legend>\n")


def visit_choices(writer, node):
    writer.body.append(f'<p class="quiz-how">{HOW[node["kind"]]}</p>\n<ol class="quiz-choices" type="A">\n')


def depart_choices(writer, node):
    writer.body.append("</ol>\n")


def visit_choice(writer, node):
    if static(writer):
        writer.body.append("<li>")
        return
    kind = "radio" if node["kind"] == "one" else "checkbox"
    right = ' data-right=""' if node["right"] else ""
    writer.body.append(
        f'<li><label><input type="{kind}" name="{node["question"]}" value="{node["letter"]}"{right} /> '
        '<span class="quiz-text">'
    )


def depart_choice(writer, node):
    writer.body.append("</li>\n" if static(writer) else "</span></label></li>\n")


def visit_answer(writer, node):
    if not static(writer):
        if node["kind"] == "number":
            writer.body.append(
                '<p class="quiz-number"><label>Your answer: <input type="text" inputmode="decimal" size="10" '
                f'name="{node["question"]}" data-number="{node["number"]!r}" data-within="{node["within"]!r}" />'
                "</label></p>\n"
            )
        writer.body.append(
            '<p class="quiz-check"><button type="submit">Check</button></p>\n'
            '<div class="quiz-says" role="status" aria-live="polite"></div>\n'
        )
    writer.body.append('<details class="quiz-answer"><summary>Answer</summary>\n')


def depart_answer(writer, node):
    writer.body.append("</details>\n")


def visit_reason(writer, node):
    values = {f"data-{key}": node[key] for key in ("letter", "number") if key in node}
    shown = "".join(f' {key}="{escape(str(value))}"' for key, value in values.items())
    writer.body.append(f'<div class="quiz-reason"{shown}>')


def setup(app):
    for kind, visitors in {
        quiz: (visit_quiz, depart_div),
        quiz_question: (visit_question, depart_question),
        quiz_ask: (visit_ask, depart_ask),
        quiz_choices: (visit_choices, depart_choices),
        quiz_choice: (visit_choice, depart_choice),
        quiz_answer: (visit_answer, depart_answer),
        quiz_reason: (visit_reason, depart_div),
    }.items():
        app.add_node(kind, html=visitors)
    app.add_directive("quiz", QuizDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
