"""What answers to a reader, by mouse and by keyboard: quizzes, figures, search, theme, hints, solutions, links."""

import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
sys.path.insert(0, str(ROOT / "book" / "_tools"))

from book_source import chapters, notebooks, pieces, read_chapter, repository  # noqa: E402
from questions import read_questions  # noqa: E402


def visit(page, address, name):
    page.goto(f"{address}/{name}.html", wait_until="load")
    page.evaluate("() => window.MathJax?.startup?.promise")
    return page


def questions(name):
    """The questions of a chapter in the order of the page."""
    found = []
    for cell in read_chapter(name).cells:
        if cell.cell_type == "markdown":
            for kind, directive, _, _, body, _ in pieces(cell.source):
                if (kind, directive) == ("directive", "quiz"):
                    found += read_questions(body)
    return found


def tab_to(page, selector, limit=400):
    """Press Tab until what `selector` names has the focus."""
    for _ in range(limit):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {selector}")


def start_before(page, element):
    """Put the place from which Tab goes on right before `element`."""
    element.evaluate("""element => {
        const mark = document.createElement("span");
        mark.tabIndex = -1;
        element.before(mark);
        mark.focus();
    }""")


# --- quizzes ---


@pytest.mark.parametrize("name", chapters())
def test_quiz_by_mouse(page, address, name):
    """Each wrong answer is refused with its reason, the right ones are accepted with all reasons."""
    asked = questions(name)
    assert 3 <= len(asked) <= 5
    visit(page, address, name)
    forms = page.locator("form.quiz-question")
    assert forms.count() == len(asked)
    for place, question in enumerate(asked):
        form = forms.nth(place)
        says, answer = form.locator(".quiz-says"), form.locator("details")
        check = form.get_by_role("button", name="Check")
        assert says.inner_text() == "" and not answer.is_visible()
        check.click()
        assert says.inner_text().startswith(("Choose", "Write"))
        assert not answer.is_visible(), "an empty attempt gives nothing away"
        if question.kind == "number":
            field = form.get_by_label("Your answer")
            for wrong in [*question.hints, question.number + 3 * question.within + 1]:
                field.fill(str(wrong))
                check.click()
                assert says.get_attribute("data-verdict") == "wrong"
                assert says.locator(".quiz-reason").count() == (wrong in question.hints)
            field.fill(f" {question.number} ".replace(".", ","))
            check.click()
            assert says.locator(".quiz-reason").count() == 1
        else:
            inputs = form.locator(".quiz-choices input")
            for row, choice in enumerate(question.answers):
                if choice.right:
                    continue
                inputs.nth(row).check()
                check.click()
                assert says.get_attribute("data-verdict") == "wrong"
                assert says.locator(".quiz-reason").count() == 1
                if question.kind == "many":
                    inputs.nth(row).uncheck()
                    assert says.inner_text() == "", "an old verdict does not stay beside a new choice"
            for row, choice in enumerate(question.answers):
                if choice.right:
                    inputs.nth(row).check()
            check.click()
            if question.kind == "many" and not all(choice.right for choice in question.answers):
                extra = inputs.nth([choice.right for choice in question.answers].index(False))
                extra.check()
                check.click()
                assert says.get_attribute("data-verdict") == "wrong", "all right ones and a wrong one"
                extra.uncheck()
                check.click()
            assert says.locator(".quiz-reason").count() == len(question.answers)
            assert form.locator(".quiz-mark").count() == len(question.answers)
        assert says.get_attribute("data-verdict") == "right" and says.inner_text().startswith("✓ Right.")
        assert answer.is_visible() and answer.get_attribute("open") is None
    assert page.faults == []


def test_quiz_by_keyboard(page, address):
    kinds = set()
    for name in chapters():
        todo = [(place, question) for place, question in enumerate(questions(name)) if question.kind not in kinds]
        if not todo:
            continue
        visit(page, address, name)
        for place, question in todo:
            if question.kind in kinds:
                continue
            kinds.add(question.kind)
            form = page.locator("form.quiz-question").nth(place)
            start_before(page, form)
            page.keyboard.press("Tab")
            tab_to(page, "form.quiz-question input", 30)
            if question.kind == "number":
                page.keyboard.type(str(question.number))
            elif question.kind == "one":
                page.keyboard.press("Space")
                for _ in range([answer.right for answer in question.answers].index(True)):
                    page.keyboard.press("ArrowDown")
            else:
                for choice in question.answers:
                    if choice.right:
                        page.keyboard.press("Space")
                    page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            assert form.locator(".quiz-says").get_attribute("data-verdict") == "right"
            tab_to(page, "form.quiz-question summary", 30)
            page.keyboard.press("Enter")
            assert form.locator("details").get_attribute("open") is not None
    assert kinds == {"one", "many", "number"}


def test_quiz_without_scripts_shows_text_and_no_dead_controls(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/{chapters()[0]}.html")
    form = page.locator("form.quiz-question").first
    assert form.locator("legend").is_visible() and form.locator("summary").is_visible()
    assert not any(field.is_visible() for field in form.locator("input, button").all())
    form.locator("summary").click()
    assert " is right." in form.locator("details").inner_text()
    context.close()


# --- interactive figures ---


def test_codes_figure(page, address):
    visit(page, address, "09_codes")
    figure = page.locator(".dl-codes")
    status, slider, selects = figure.locator(".status"), figure.get_by_role("slider"), figure.get_by_role("combobox")
    before = status.inner_text()
    assert re.match(r"\d+ of 512 bits are unequal\. At a threshold of \d+", before)
    selects.nth(1).select_option(index=int(selects.nth(0).input_value()))
    assert status.inner_text().startswith("0 of 512") and "one picture twice" in status.inner_text()
    start_before(page, figure)
    tab_to(page, ".dl-codes select", 3)
    page.keyboard.press("ArrowDown")
    assert not status.inner_text().startswith("0 of 512"), "the arrow keys choose another face"
    tab_to(page, ".dl-codes input[type=range]", 3)
    page.keyboard.press("Home")
    assert "threshold of 0: two people" in status.inner_text()
    page.keyboard.press("End")
    assert "threshold of 512: same person" in status.inner_text()
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert 240 < int(re.search(r"threshold of (\d+)", status.inner_text())[1]) < 272
    assert page.faults == []


def test_occlusion_figure(page, address):
    visit(page, address, "11_occlusion")
    figure = page.locator(".dl-occlusion")
    status, slider = figure.locator(".status"), figure.get_by_role("slider")
    assert status.get_attribute("role") == "status"
    assert status.inner_text().startswith("Nothing hidden: 0 of 512 bits differ")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    most = status.inner_text()
    assert int(re.search(r": (\d+) of 512", most)[1]) > 0
    figure.get_by_label("random block").check()
    assert status.inner_text() != most
    start_before(page, figure)
    tab_to(page, ".dl-occlusion input[type=radio]", 3)
    picture = figure.locator("img").first.get_attribute("alt")
    page.keyboard.press("ArrowRight")
    assert figure.locator("img").first.get_attribute("alt") != picture, "the arrow keys choose the other person"
    tab_to(page, ".dl-occlusion input[type=range]", 4)
    page.keyboard.press("Home")
    assert status.inner_text().startswith("Nothing hidden: 0 of 512 bits differ")
    page.keyboard.press("ArrowRight")
    assert not status.inner_text().startswith("Nothing")
    assert page.faults == []


def test_a_track_is_stepped_and_played_by_keyboard(page, address):
    visit(page, address, "21_tracking")
    figure = page.locator(".dl-track")
    status, picture = figure.locator(".status"), figure.locator("img").first
    start_before(page, figure)
    tab_to(page, ".dl-track button", 3)
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    assert status.inner_text().endswith("The box is given.")
    first = picture.get_attribute("src")
    page.keyboard.press("ArrowRight")
    assert "layer decided" in status.inner_text() and picture.get_attribute("src") != first
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert figure.get_by_role("button").inner_text() == "Pause"
    page.keyboard.press("Enter")
    assert figure.get_by_role("button").inner_text() == "Play"
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    end = picture.get_attribute("src")
    page.keyboard.press("ArrowRight")
    assert picture.get_attribute("src") == end != first
    assert page.faults == []


def test_hamming_figure(page, address):
    visit(page, address, "08_sparsity")
    figure = page.locator(".dl-hamming")
    status = figure.locator(".status")
    figure.get_by_role("button", name="untrained, plain").click()
    apart = int(re.search(r"differ in (\d+) %", status.inner_text())[1])
    figure.get_by_role("button", name="paper").click()
    assert int(re.search(r"differ in (\d+) %", status.inner_text())[1]) > apart
    start_before(page, figure)
    tab_to(page, ".dl-hamming input[type=range]", 8)
    page.keyboard.press("Home")
    assert "differ in 0 %" in status.inner_text(), "neurons that are never active"
    assert page.faults == []


def test_luck_figure(page, address):
    visit(page, address, "10_selectiveness")
    figure = page.locator(".dl-luck")
    status = figure.locator(".status")
    assert "Mean of 1 shuffle:" in status.inner_text()
    figure.get_by_role("button").click()
    means = re.search(r"Mean of 2 shuffles: ([\d.]+) % and ([\d.]+) %", status.inner_text())
    assert float(means[1]) > 50 and float(means[1]) > float(means[2])
    assert page.faults == []


def test_margin_figure(page, address):
    visit(page, address, "14_scorecard")
    figure = page.locator(".dl-margin")
    status, words = figure.locator(".status"), figure.locator("text.word")
    before = words.all_text_contents()
    assert "Turned" not in status.inner_text() and figure.locator("output").inner_text() == "as in the rules"
    start_before(page, figure)
    tab_to(page, ".dl-margin input[type=range]", 3)
    page.keyboard.press("End")
    after = words.all_text_contents()
    turned = re.findall(r"(\w+) \((\w+) → (\w+)\)", status.inner_text())
    assert turned and len(turned) == sum(a != b for a, b in zip(after, before, strict=True))
    assert all(now != "yes" for _, _, now in turned), "a larger margin never makes a yes"
    assert page.faults == []


# --- the theme ---


def test_search_finds_joint_bayesian(page, address):
    visit(page, address, "intro")
    page.keyboard.press("Control+k")
    page.keyboard.type("Joint Bayesian")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=Joint+Bayesian*")
    page.locator("#search-results .search-summary, #search-results p").filter(has_text="found").first.wait_for()
    links = page.locator("#search-results ul.search li > a")
    assert any("06_joint_bayesian.html" in link.get_attribute("href") for link in links.all()[:5])
    links.filter(has_text="Joint Bayesian").first.click()
    page.wait_for_load_state()
    assert "Joint Bayesian" in page.locator("article").inner_text()
    assert page.faults == []


def test_theme_switch_is_kept(page, address):
    visit(page, address, "06_joint_bayesian")

    def darkness():
        return page.evaluate("""() => {
            const [ground, text] = ["backgroundColor", "color"].map(name =>
                getComputedStyle(document.body)[name].match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0));
            return text - ground;
        }""")

    assert darkness() < 0
    switch = page.get_by_role("button", name="Color mode").first
    for _ in range(3):
        switch.focus()
        page.keyboard.press("Enter")
        if page.evaluate("document.documentElement.dataset.mode") == "dark":
            break
    page.wait_for_timeout(300)
    assert darkness() > 300
    visit(page, address, "07_measuring")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark" and darkness() > 300
    assert page.faults == []


def test_previous_and_next_lead_through_the_book_in_order(page, address):
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    order = [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]
    for name, following in zip(order, order[1:], strict=False):
        text = (HTML / f"{name}.html").read_text(encoding="utf-8")
        assert re.search(rf'class="right-next"\s+href="{following}\.html"', text), name
        text = (HTML / f"{following}.html").read_text(encoding="utf-8")
        assert re.search(rf'class="left-prev"\s+href="{name}\.html"', text), following
    visit(page, address, order[0])
    page.locator("a.right-next").click()
    page.wait_for_url(f"**/{order[1]}.html")
    page.locator("a.left-prev").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{order[0]}.html")
    assert page.faults == []


# --- hints and solutions ---


def test_citations_show_their_entry(page, address):
    visit(page, address, "06_joint_bayesian")
    hint, links = page.locator(".link-hint"), page.locator('article a[href*="bibliography.html"]')
    assert not hint.is_visible()
    links.first.hover()
    hint.wait_for()
    shown = hint.inner_text()
    assert re.search(r"\. (19|20)\d\d\b", shown) and len(shown) > 40
    hint.hover()
    page.wait_for_timeout(400)
    assert hint.is_visible(), "it stays while the pointer is on it"
    page.keyboard.press("Escape")
    assert not hint.is_visible()
    start_before(page, links.nth(1))
    page.keyboard.press("Tab")
    assert hint.is_visible() and links.nth(1).get_attribute("aria-describedby") == hint.get_attribute("id")
    page.keyboard.press("Tab")
    page.mouse.move(0, 0)
    page.wait_for_timeout(300)
    links.first.click()
    page.wait_for_url("**/bibliography.html#*")
    assert page.faults == []


def test_terms_show_their_definition(page, address):
    visit(page, address, "01_faces")
    links = page.locator('article a[href*="glossary.html#term-"]')
    assert links.count() > 3
    links.first.focus()
    shown = page.locator(".link-hint").inner_text()
    glossary = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    assert shown in " ".join(glossary.split()), shown
    assert page.faults == []


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_solutions_open_by_keyboard(page, address, key):
    visit(page, address, "06_joint_bayesian")
    solution = page.locator(".solution.dropdown").first
    text = solution.locator("p:not(.admonition-title), pre").first
    button = solution.get_by_role("button").first
    assert not text.is_visible() and button.get_attribute("aria-expanded") == "false"
    start_before(page, solution)
    tab_to(page, ".solution .toggle-button", 3)
    page.keyboard.press(key)
    assert text.is_visible() and button.get_attribute("aria-expanded") == "true"
    page.keyboard.press(key)
    assert not text.is_visible()
    assert page.faults == []


# --- links out of the page ---


def test_colab_download_edit_and_module_links_point_at_files_of_the_repository():
    links = repository()
    roots = {f"{links['colab']}/": "book/", f"{links['blob']}/": "", f"{links['url']}/edit/{links['branch']}/": ""}
    for name in notebooks():
        text = (HTML / f"{name}.html").read_text(encoding="utf-8")
        found = re.findall(r'<a\b[^>]*?\shref="([^"]+)"', text)
        paths = {
            folder + href.removeprefix(root).split("#")[0]
            for href in found
            for root, folder in roots.items()
            if href.startswith(root)
        }
        assert {f"book/{name}.ipynb", f"book/{name}.md"} <= paths, "no Colab link, or no edit link"
        assert any(path.startswith("deepid_lite/") for path in paths), "no link to the module"
        assert [path for path in paths if not (ROOT / path).is_file()] == []
        assert any(href.startswith(f"{links['url']}/issues/new") for href in found)
        card = re.search(r'<p class="chapter-card">.*?</p>', text, re.S)[0]
        assert re.search(r"reading: about \d+ minutes · running: about ", card)
        assert f'href="{links["colab"]}/{name}.ipynb">Open in Colab</a>' in card
        download = re.search(r'href="([^"]+)">Download the notebook</a>', card)[1]
        assert (HTML / download).read_bytes() == (ROOT / "book" / f"{name}.ipynb").read_bytes()


def test_links_within_the_book_lead_somewhere():
    pages = {path.name: path.read_text(encoding="utf-8") for path in HTML.glob("*.html")}
    names = {name: set(re.findall(r'\b(?:id|name)="([^"]+)"', text)) for name, text in pages.items()}
    lost = []
    for name, text in pages.items():
        for href in re.findall(r'<a\b[^>]*?\shref="([^"]+)"', text):
            if re.match(r"[a-z]+:|//", href):
                continue
            target, _, anchor = href.partition("#")
            target = target.split("?")[0] or name
            if target in pages:
                if anchor and anchor not in names[target]:
                    lost.append(f"{name}: {href}")
            elif not (HTML / target).exists():
                lost.append(f"{name}: {href}")
    assert lost == []
