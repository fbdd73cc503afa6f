"""The card as a page: its sections, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cnntrain.card import background, results
from cnntrain.card.markup import STYLE, items, paragraph
from cnntrain.card.subject import Subject
from cnntrain.show.page import page, text
from cnntrain.show.words import percent
from cnntrain.tasks.targets import IN_TITLES


def html_card(subject: Subject) -> bytes:
    """One HTML file that needs nothing else: no network, no script, pictures inside of it."""
    model, evaluated = subject.model, subject.evaluated
    named = IN_TITLES[model.named.form]
    sections: list[tuple[str, Iterable[str]]] = [("Curves", results.curves(subject))]
    if evaluated is not None:
        sections += [
            (named, results.classes(evaluated)),
            ("Worst mistakes", results.mistakes(evaluated)),
            ("Are the probabilities right?", results.trust(evaluated)),
        ]
    sections += [
        ("First layer", background.filters(model)),
        ("Network", background.network(model)),
        ("Data", background.images(subject)),
        ("Training", background.training(subject)),
        ("How to use it", background.use(subject)),
        ("Limits", background.limits(subject)),
    ]
    made = [(title, list(parts)) for title, parts in sections]
    there = [(title, _anchor(title), parts) for title, parts in made if parts]
    links = " ".join(f'<a href="#{anchor}">{text(title)}</a>' for title, anchor, _ in there)
    body = ["<main>", *_top(subject), f'<nav aria-label="Sections">{links}</nav>']
    for title, anchor, parts in there:
        body += [f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{text(title)}</h2>']
        body += [*parts, "</section>"]
    body.append("</main>")
    known = model.named.described
    return page(f"{model.loaded.config.name}: a network for {known}", body, style=STYLE)


def _anchor(title: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def _top(subject: Subject) -> Iterator[str]:
    """The verdict, the figures, what is missing."""
    model, score = subject.model, results.score_of(subject)
    if score is not None:
        yield paragraph(score.sentence(), "lead")
    figures = [] if score is None else [("error", percent(1 - score.correct / score.images))]
    if score is not None and score.guessed is not None:
        figures.append(("error of guessing", percent(score.guessed)))
    if score is None and subject.evaluated is not None:
        found = subject.evaluated.metrics
        texts = ((name, model.task.text(name, found.figures[name])) for name in model.task.headline)
        figures += [(f"{name} on {subject.evaluated.split} images", value) for name, value in texts]
    figures.append(("parameters", f"{model.plan.parameters:,}"))
    if subject.splits is not None:
        figures.append(("training images", f"{len(subject.splits.train):,}"))
    boxes = "".join(
        f'<div><strong>{text(value)}</strong><span class="soft">{text(name)}</span></div>'
        for name, value in figures
    )
    yield f'<div class="figures">{boxes}</div>'
    if subject.missing:
        yield f'<div class="note"><strong>Missing here</strong>{items(subject.missing)}</div>'
