"""A person at the page, in headless Chromium."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LISTED = json.loads((EXAMPLES / "examples.json").read_text())
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1440,1100",
)  # fmt: skip
PATIENCE = 60
WATCH_ANSWER = """
window.grown = [];
const note = () => {
  const all = document.querySelectorAll('#chat [data-testid=bot]');
  if (all.length) window.grown.push(all[all.length - 1].innerText);
};
new MutationObserver(note).observe(document.getElementById('chat'),
                                   {subtree: true, childList: true, characterData: true});
"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver: apt-get install chromium chromium-driver"
    ),
]


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(PATIENCE)
    yield driver
    driver.quit()


class Person:
    """What a person does and sees in one tab."""

    def __init__(self, driver, address):
        self.driver = driver
        self.driver.get(address)
        self.tab = driver.current_window_handle
        self.until(lambda: len(self.all(".example")) == 5 and "experts" in self.text("#status"))

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.driver.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map(one => one.innerText).join('\\n')", selector
        )

    def until(self, condition, message=""):
        return WebDriverWait(self.driver, PATIENCE, 0.1).until(lambda _: condition(), message)

    def click(self, selector, number=0):
        self.until(lambda: len(self.all(selector)) > number, f"no {selector}")
        target = self.all(selector)[number]
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", target)
        self.until(target.is_enabled)
        target.click()

    def open_tab(self, name):
        self.until(lambda: any(one.text == name for one in self.all("button[role=tab]")), f"no tab {name}")
        next(one for one in self.all("button[role=tab]") if one.text == name).click()

    def source(self, selector):
        return self.driver.execute_script("return document.querySelector(arguments[0])?.src", f"{selector} img")

    def answers(self):
        return self.driver.execute_script(
            "return [...document.querySelectorAll('#chat [data-testid=bot]')].map(one => one.innerText.trim())"
        )

    def answered(self, number):
        """Wait for the answer with this number, counted from 1."""

        def done():
            said = self.answers()
            return len(said) >= number and said[number - 1] != "…" and "answered after" in self.text("#speed")

        self.until(done, f"no answer {number}")

    def choose(self, path):
        """Upload a picture; the one that is there makes room first."""
        if self.source("#picture"):
            self.click("#picture button[aria-label='Remove Image']")
        self.until(lambda: self.all("#picture input[type=file]"))
        self.all("#picture input[type=file]")[0].send_keys(str(path))

    def example(self, number):
        before = len(self.answers())
        self.click(".example", number)
        self.answered(before + 1)

    def ask(self, question):
        before = len(self.answers())
        field = self.all("#question textarea")[0]
        field.send_keys(question)
        self.until(lambda: field.get_attribute("value") == question)
        field.send_keys(Keys.ENTER)
        self.answered(before + 1)


@pytest.fixture
def person(browser, server):
    return Person(browser, server)


def test_an_example_is_answered_with_all_its_evidence(person):
    assert "4 experts" in person.text("#status")
    person.example(0)
    assert "What does the sign say?" in person.text("#chat") and "GALLERY" in person.text("#chat")
    assert "first word after" in person.text("#speed")
    assert person.source("#annotated")
    assert "driving on" in person.text("#relations")
    assert "GALLERY" in person.text("#lines")
    assert person.all("#words textarea")[0].get_attribute("value").startswith("The image includes")
    assert all(name in person.text("#times") for name in ("Segmentation", "Detection", "Scene graph", "OCR"))
    alt = person.all("#annotated img")[0].get_attribute("alt")
    assert alt.startswith("Picture with") and "car" in alt
    person.open_tab("Listened to")
    person.until(lambda: len(person.all("#gates .stack")) == 8 and person.source("#heat"))
    assert "%" in person.text("#scale")


def test_layers_of_the_annotated_picture_can_be_switched(person):
    person.example(0)
    before = person.source("#annotated")
    person.click("#layers input", 0)
    person.until(lambda: person.source("#annotated") not in (None, before))
    without_segments = person.source("#annotated")
    person.click("#layers input", 2)
    person.until(lambda: person.source("#annotated") not in (None, before, without_segments))
    assert person.all("#annotated img")[0].get_attribute("alt").startswith("Picture with")


def test_the_answer_grows_before_the_eyes_and_can_be_cleared(person):
    person.example(0)
    person.driver.execute_script(WATCH_ANSWER)
    person.ask("Where is the sheep?")  # capitals would wait for a digit
    grown = [text for text in dict.fromkeys(person.driver.execute_script("return window.grown")) if text]
    assert len(grown) > 3
    assert "What does the sign say?" in person.text("#chat")
    person.click("#clear")
    person.until(lambda: "Where is the sheep?" not in person.text("#chat"))
    person.until(lambda: not person.text("#speed").strip())
    assert person.source("#picture")


def test_thinking_twice_shows_how_many_drafts_agree(person):
    person.click(".example")
    person.answered(1)
    person.click("#twice input")
    person.ask("What color is the sign?")
    person.until(lambda: "drafts agree" in person.text("#chat"), "no drafts")
    assert person.answers()[1] == "purple"
    assert "of 6 drafts agree: " in person.text("#speed") and person.all("#speed .agreement i")
    assert "× purple" not in person.text("#chat")  # folded
    person.click("#twice input")
    person.ask("Is there a dog?")
    assert "drafts agree" not in person.text("#speed")


def test_a_question_that_is_sent_while_another_is_answered_waits_its_turn(person):
    person.example(0)
    field = person.all("#question textarea")[0]
    field.send_keys("Describe the picture.", Keys.ENTER)
    person.until(lambda: field.get_attribute("value") == "")
    field.send_keys("What color is the sign?", Keys.ENTER)
    person.until(lambda: len(person.answers()) == 3 and person.answers()[2] == "purple", "the second was lost")


def test_of_several_examples_clicked_at_once_one_is_asked_with_its_own_picture(person):
    person.driver.execute_script("[...document.querySelectorAll('.example')].slice(0, 3).forEach(one => one.click())")
    person.answered(1)
    person.until(lambda: not person.all("#stop")[0].is_enabled())
    (answer,) = person.answers()
    assert any(one["question"] in person.text("#chat") and one["answer"] == answer for one in LISTED[:3])
    assert not person.text(".toast-body")


def test_clearing_in_the_middle_of_an_answer_leaves_nothing_of_it(person):
    person.example(0)
    person.all("#question textarea")[0].send_keys("Describe the picture.", Keys.ENTER)
    person.until(lambda: len(person.answers()) == 2)
    person.click("#clear")
    person.until(lambda: not person.all("#stop")[0].is_enabled(), "the answer goes on")
    person.until(lambda: person.answers() == [] and not person.text("#speed").strip())


def test_with_the_picture_its_evidence_is_taken_away(person):
    person.example(0)
    person.click("#picture button[aria-label='Remove Image']")
    person.until(lambda: not person.source("#annotated") and "Choose a picture" in person.text("#relations"))
    person.example(0)
    assert person.source("#annotated") and "driving on" in person.text("#relations")


def test_switching_ocr_off_changes_the_answer(person):
    person.example(0)
    person.open_tab("What if")
    person.click("#kept input", 3)
    person.click("#compare")
    person.until(lambda: len(person.all("#compared .card")) == 2)
    told = person.driver.execute_script(
        "return [...document.querySelectorAll('#compared .words')].map(one => one.textContent)"
    )
    assert "GALLERY" in told[0] and "GALLERY" not in told[1]
    answers = person.driver.execute_script(
        "return [...document.querySelectorAll('#compared .card .said')].map(one => one.textContent)"
    )
    assert answers[0] == "GALLERY" and answers[1] != "GALLERY"
    assert len(person.all("#compared .card.changed")) == 1
    assert "Everything on" in person.text("#compared") and "Without OCR" in person.text("#compared")
    person.click("#moai input")
    person.click("#compare")
    person.until(lambda: "MoAI off" in person.text("#compared"))


def test_a_broken_file_gets_a_sentence_and_nothing_breaks(person, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes((EXAMPLES / "street.png").read_bytes()[:3000])
    person.choose(broken)
    person.until(lambda: "damaged" in person.text("body"), "no sentence about the broken file")
    assert "Traceback" not in person.text("body") and str(tmp_path) not in person.text("body")
    person.until(lambda: not person.source("#picture"))
    person.example(1)
    assert "bed" in person.text("#chat")


def test_pictures_after_the_first_are_taken_as_the_first(person, tmp_path):
    person.example(0)
    clear = Image.new("RGBA", (400, 160), (0, 0, 0, 0))
    ImageDraw.Draw(clear).text((40, 40), "HARBOR", fill=(0, 0, 0, 255), font=ImageFont.load_default(70))
    clear.save(tmp_path / "clear.png")
    (tmp_path / "broken.png").write_bytes((EXAMPLES / "street.png").read_bytes()[:3000])
    for _ in range(2):
        person.choose(tmp_path / "clear.png")
        person.until(lambda: "HARBOR" in person.text("#lines"), "transparent is not white")
        person.ask("What does the sign say?")
        assert person.answers()[-1] == "HARBOR"
        person.choose(tmp_path / "broken.png")
        person.until(lambda: "damaged" in person.text(".toast-body"), "no sentence about the broken file")
        person.until(lambda: not person.source("#picture"))
        person.click(".toast-close")
        person.until(lambda: not person.text(".toast-body"))


def test_a_question_without_a_picture_gets_a_sentence(person):
    field = person.all("#question textarea")[0]
    field.send_keys("What is this?", Keys.ENTER)
    person.until(lambda: "Choose a picture first" in person.text("body"))


def test_an_uploaded_picture_is_seen_at_once_and_another_one_starts_anew(person):
    person.choose(EXAMPLES / "hammers.png")
    person.until(lambda: person.source("#annotated"), "no evidence before the question")
    assert "answered" not in person.text("#speed")
    person.ask("How many hammers do you see?")
    person.example(1)
    assert person.answers() == ["2", "bed"]
    person.until(lambda: len(person.all("#chat img")) == 2)


def test_two_people_at_once_do_not_see_each_others_chats(person, server):
    person.click(".example", 0)
    person.driver.switch_to.new_window("tab")
    other = Person(person.driver, server)
    other.example(1)
    assert "fox" in other.text("#chat") and "GALLERY" not in other.text("#chat")
    other.driver.close()
    person.driver.switch_to.window(person.tab)
    person.answered(1)
    assert "GALLERY" in person.text("#chat") and "fox" not in person.text("#chat")


def test_nothing_is_fetched_from_outside_and_the_console_stays_clean(person, server):
    person.driver.get_log("performance"), person.driver.get_log("browser")
    person.driver.get(server)
    person.until(lambda: person.all(".example"))
    person.example(2)
    events = [json.loads(one["message"])["message"] for one in person.driver.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((server, "data:", "blob:"))] == []
    assert [one["message"] for one in person.driver.get_log("browser") if one["level"] == "SEVERE"] == []


def test_the_page_fits_a_phone_in_light_and_dark(person, server):
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    person.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        narrow = Person(person.driver, server)
        narrow.example(0)
        width = "return [document.documentElement.scrollWidth, window.innerWidth]"
        wide, inner = narrow.driver.execute_script(width)
        assert inner == 390 and wide <= 390
        colour = "return getComputedStyle(document.body).backgroundColor"
        before = narrow.driver.execute_script(colour)
        narrow.click("#theme")
        narrow.until(lambda: narrow.driver.execute_script(colour) != before)
        assert [one.text for one in narrow.all("button[role=tab]") if one.is_displayed()] == [
            "Experts saw", "Listened to", "What if",
        ]  # fmt: skip
    finally:
        person.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
