"""The words of the page, in English and French; which of the two a visitor reads."""

from __future__ import annotations

from job.product.fruits import LANGUAGES

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Which fruit is this?",
        "lead": "Take a photo of one fruit. The answer comes with the photos that look most like it.",
        "camera": "Take a photo",
        "file": "Choose a photo",
        "or_drop": "or drop one here, or paste it",
        "send": "Which fruit is it?",
        "working": "Looking…",
        "privacy": "Your photo is looked at and forgotten. Nothing is stored.",
        "tips": "One fruit, near, in daylight, on something plain: that works best.",
        "again": "Another photo",
        "your_photo": "Your photo",
        "kind": "nearest to",
        "score": "Share of the look-alikes",
        "nearest": "What comes nearest",
        "unknown": "I do not know this one",
        "unknown_text": "It looks too little like the photos I know, or like two fruits at once. "
        "Try nearer, in more light, on a plain background.",
        "unreadable": "This is not a picture I can read",
        "unreadable_text": "Send JPEG, PNG, WebP, GIF, BMP or TIFF, up to 89 megapixels.",
        "family": "Family",
        "season": "Season in France",
        "market": "In French shops",
        "imported": "imported",
        "alike": "What it looks like",
        "photo_of": "Photo of",
        "details": "How sure, and from where",
        "distance": "distance to the nearest photo",
        "threshold": "unknown beyond",
        "run": "run",
        "model": "model",
        "known": "{images} photos of {labels} kinds are known here, these among them",
        "language": "Language",
        "error": "That did not work",
        "error.too_large": "The photo is too large: at most {megabytes} MB.",
        "error.no_photo": "There was no photo. Choose one first.",
        "error.too_many": "That was a lot of photos. Wait a minute, then go on.",
        "error.busy": "Many people ask just now. Try again in a few seconds.",
        "error.too_slow": "That photo took too long. Try a smaller one.",
        "error.slow_upload": "The photo did not arrive in time. Try again, or a smaller one.",
        "error.other": "The photo did not arrive whole. Try again.",
    },
    "fr": {
        "title": "Quel est ce fruit ?",
        "lead": "Prenez un fruit en photo. La réponse vient avec les photos qui lui ressemblent le plus.",
        "camera": "Prendre une photo",
        "file": "Choisir une photo",
        "or_drop": "ou déposez-la ici, ou collez-la",
        "send": "Quel est ce fruit ?",
        "working": "Je regarde…",
        "privacy": "Votre photo est regardée puis oubliée. Rien n’est conservé.",
        "tips": "Un seul fruit, de près, à la lumière du jour, sur un fond uni : c’est ce qui marche le mieux.",
        "again": "Une autre photo",
        "your_photo": "Votre photo",
        "kind": "au plus près de",
        "score": "Part des ressemblances",
        "nearest": "Ce qui s’en approche le plus",
        "unknown": "Je ne le connais pas",
        "unknown_text": "Il ressemble trop peu aux photos que je connais, ou à deux fruits à la fois. "
        "Essayez de plus près, avec plus de lumière, sur un fond uni.",
        "unreadable": "Je ne peux pas lire cette image",
        "unreadable_text": "Envoyez du JPEG, PNG, WebP, GIF, BMP ou TIFF, jusqu’à 89 mégapixels.",
        "family": "Famille",
        "season": "Saison en France",
        "market": "Dans les magasins en France",
        "imported": "importé",
        "alike": "Ce à quoi il ressemble",
        "photo_of": "Photo de",
        "details": "Degré de certitude, et source",
        "distance": "distance à la photo la plus proche",
        "threshold": "inconnu au-delà de",
        "run": "calcul",
        "model": "modèle",
        "known": "{images} photos de {labels} sortes sont connues ici, dont celles-ci",
        "language": "Langue",
        "error": "Cela n’a pas marché",
        "error.too_large": "La photo est trop lourde : {megabytes} Mo au plus.",
        "error.no_photo": "Il n’y avait pas de photo. Choisissez-en une d’abord.",
        "error.too_many": "Cela fait beaucoup de photos. Attendez une minute, puis continuez.",
        "error.busy": "Il y a beaucoup de monde. Réessayez dans quelques secondes.",
        "error.too_slow": "Cette photo a pris trop de temps. Essayez-en une plus petite.",
        "error.slow_upload": "La photo n’est pas arrivée à temps. Réessayez, ou prenez-en une plus petite.",
        "error.other": "La photo n’est pas arrivée entière. Réessayez.",
    },
}


def language_of(wanted: str | None, accept: str) -> str:
    """`wanted` (?lang=) if there are words for it, otherwise the best of Accept-Language, otherwise English."""
    if wanted in LANGUAGES:
        return str(wanted)
    ranked = sorted((_quality(part) for part in accept.split(",")), key=lambda found: -found[0])
    return next((language for quality, language in ranked if quality > 0 and language in LANGUAGES), "en")


def _quality(part: str) -> tuple[float, str]:
    """`fr-CH;q=0.8` to (0.8, "fr"). https://www.rfc-editor.org/rfc/rfc9110#name-accept-language"""
    name, _, quality = part.strip().partition(";q=")
    try:
        value = float(quality) if quality else 1.0
    except ValueError:
        value = 0.0
    return value, name.partition("-")[0].lower()
