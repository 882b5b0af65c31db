"""Hold the texts of the pages in English and French, and choose the visitor's language."""

from __future__ import annotations

from job.product.fruits import LANGUAGES
from job.product.identify.answer import NO_SECOND_OPINION

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Which fruit is this?",
        "lead": "Take a photo of one fruit. The answer shows the most similar photos.",
        "camera": "Take a photo",
        "file": "Choose a photo",
        "or_drop": "or drop or paste a photo here",
        "send": "Which fruit is it?",
        "working": "Identifying…",
        "privacy": "Your photo is processed in memory and not stored.",
        "tips": "For best results, photograph one fruit close up, in daylight, on a plain background.",
        "again": "Another photo",
        "your_photo": "Your photo",
        "kind": "most similar to",
        "score": "Share of similar photos",
        "nearest": "Most similar",
        "unknown": "Unknown fruit",
        "unknown_text": "It is not similar enough to the known photos, or resembles several fruits. "
        "Move closer, add light and use a plain background.",
        "unreadable": "This file cannot be read",
        "unreadable_text": "Send a JPEG, HEIC, PNG, WebP, AVIF, GIF, BMP or TIFF image of up to 89 megapixels.",
        "family": "Family",
        "season": "Season in France",
        "market": "In French shops",
        "imported": "imported",
        "alike": "Similar fruits",
        "photo_of": "Photo of",
        "no_second_opinion": f"{NO_SECOND_OPINION}.",
        "details": "Details",
        "distance": "distance to the nearest photo",
        "threshold": "threshold for unknown",
        "run": "run",
        "model": "model",
        "known": "Some of the {images} known photos of {labels} kinds",
        "language": "Language",
        "error": "Something went wrong",
        "error.too_large": "The photo is too large: at most {megabytes} MB.",
        "error.no_photo": "No photo was sent. Choose one first.",
        "error.too_many": "Too many photos. Wait a minute, then try again.",
        "error.busy": "The server is busy. Try again in a few seconds.",
        "error.no_run": "The photos of this server are being changed. Try again in a few seconds.",
        "error.too_slow": "Processing the photo took too long. Try a smaller one.",
        "error.slow_upload": "The upload took too long. Try again, or choose a smaller photo.",
        "privacy_teach": "Your photo is processed in memory. It is stored only if you agree to teach it.",
        "teach_wrong": "Wrong? Teach it",
        "teach_unknown": "Do you know it? Teach it",
        "teach_photo": "Choose the same photo again",
        "teach_label": "What is it?",
        "teach_consent": "I agree that this server stores the photo, without place, time and camera, in the folder of its photos (INPUT). "
        "Everyone who can open this page can see a thumbnail of it. The command “fruitsctl forget” erases it.",
        "teach_send": "Teach it",
        "taught": "Learned: {label}",
        "taught_before": "Known already: {label}",
        "taught_text": "The photo is stored without place, time and camera. Answers use it from now on.",
        "taught_address": "Address of the photo",
        "taught_erase": "Command that erases it, with all that is derived from it",
        "error.no_label": "The name is missing. Go back and say what the photo shows.",
        "error.bad_label": "This name cannot be used. Go back and use a simple one, such as Apple.",
        "error.no_consent": "Nothing was stored: you have not agreed. Go back and check the box.",
        "error.unreadable": "Nothing was stored: this file cannot be taught. Save it as JPEG, then send it again.",
        "error.erased": "Nothing was stored: this photo was erased on request. Send another one.",
        "error.lease": "Nothing was stored: a run is changing the photos of this server. Try again in a minute.",
        "error.teaching_slow": "This takes longer than expected. The photo may be stored all the same: send it again to see its address.",
        "error.region": "Nothing was stored: the storage of this server is outside the European Union.",
        "error.storage": "Nothing was stored: the server cannot write its photos. Tell the person who runs it.",
        "error.other_origin": "Nothing was stored: the form came from another site. Use the page of this server.",
        "error.other": "The upload was interrupted. Try again.",
    },
    "fr": {
        "title": "Quel est ce fruit ?",
        "lead": "Prenez un fruit en photo. Le résultat s’affiche avec les photos les plus ressemblantes.",
        "camera": "Prendre une photo",
        "file": "Choisir une photo",
        "or_drop": "ou déposez ou collez une photo ici",
        "send": "Quel est ce fruit ?",
        "working": "Identification…",
        "privacy": "Votre photo est analysée en mémoire et n’est pas conservée.",
        "tips": "Pour un meilleur résultat : un seul fruit, de près, à la lumière du jour, sur un fond uni.",
        "again": "Une autre photo",
        "your_photo": "Votre photo",
        "kind": "le plus proche :",
        "score": "Part des photos ressemblantes",
        "nearest": "Les plus ressemblants",
        "unknown": "Fruit inconnu",
        "unknown_text": "Il ne ressemble pas assez aux photos connues, ou il ressemble à plusieurs fruits. "
        "Réessayez de plus près, avec plus de lumière, sur un fond uni.",
        "unreadable": "Fichier illisible",
        "unreadable_text": "Envoyez une image JPEG, HEIC, PNG, WebP, AVIF, GIF, BMP ou TIFF de 89 mégapixels au plus.",
        "family": "Famille",
        "season": "Saison en France",
        "market": "En magasin en France",
        "imported": "importé",
        "alike": "Fruits ressemblants",
        "photo_of": "Photo de",
        "no_second_opinion": "Pas de second avis : le classifieur ImageNet ne va qu’avec le réseau entraîné.",
        "details": "Détails",
        "distance": "distance à la photo la plus proche",
        "threshold": "seuil pour « inconnu »",
        "run": "exécution",
        "model": "modèle",
        "known": "Quelques-unes des {images} photos connues, de {labels} espèces et variétés",
        "language": "Langue",
        "error": "Une erreur s’est produite",
        "error.too_large": "La photo est trop lourde : {megabytes} Mo maximum.",
        "error.no_photo": "Aucune photo n’a été envoyée. Choisissez-en une.",
        "error.too_many": "Trop de photos envoyées. Patientez une minute, puis réessayez.",
        "error.busy": "Le serveur est occupé. Réessayez dans quelques secondes.",
        "error.no_run": "Les photos de ce serveur sont en cours de modification. Réessayez dans quelques secondes.",
        "error.too_slow": "L’analyse de la photo a pris trop de temps. Essayez avec une photo plus petite.",
        "error.slow_upload": "L’envoi a pris trop de temps. Réessayez, ou choisissez une photo plus petite.",
        "privacy_teach": "Votre photo est analysée en mémoire. Elle n’est conservée que si vous acceptez qu’elle serve d’exemple.",
        "teach_wrong": "Ce n’est pas ça\u00a0? Corrigez",
        "teach_unknown": "Vous le connaissez\u00a0? Dites-le",
        "teach_photo": "Choisissez de nouveau la même photo",
        "teach_label": "Qu’est-ce que c’est\u00a0?",
        "teach_consent": "J’accepte que ce serveur conserve la photo, sans lieu, heure ni appareil, dans le dossier de ses photos (INPUT). "
        "Toute personne qui peut ouvrir cette page peut en voir une vignette. La commande «\u00a0fruitsctl forget\u00a0» l’efface.",
        "teach_send": "Enregistrer la photo",
        "taught": "Appris\u00a0: {label}",
        "taught_before": "Déjà connu\u00a0: {label}",
        "taught_text": "La photo est conservée sans lieu, heure ni appareil. Les réponses en tiennent compte dès maintenant.",
        "taught_address": "Adresse de la photo",
        "taught_erase": "Commande qui l’efface, avec tout ce qui en dérive",
        "error.no_label": "Le nom manque. Revenez en arrière et dites ce que montre la photo.",
        "error.bad_label": "Ce nom ne convient pas. Revenez en arrière et choisissez un nom simple, comme Pomme.",
        "error.no_consent": "Rien n’a été conservé, faute d’accord. Revenez en arrière et cochez la case.",
        "error.unreadable": "Rien n’a été conservé\u00a0: ce fichier ne convient pas. Enregistrez-le en JPEG, puis renvoyez-le.",
        "error.erased": "Rien n’a été conservé\u00a0: cette photo a été effacée sur demande. Envoyez-en une autre.",
        "error.lease": "Rien n’a été conservé\u00a0: les photos de ce serveur sont en cours de modification. Réessayez dans une minute.",
        "error.teaching_slow": "L’enregistrement est long. La photo est peut-être conservée\u00a0: renvoyez-la pour voir son adresse.",
        "error.region": "Rien n’a été conservé\u00a0: le stockage de ce serveur est hors de l’Union européenne.",
        "error.storage": "Rien n’a été conservé\u00a0: le serveur ne peut pas écrire ses photos. Prévenez la personne qui s’en occupe.",
        "error.other_origin": "Rien n’a été conservé\u00a0: le formulaire venait d’un autre site. Utilisez la page de ce serveur.",
        "error.other": "L’envoi a été interrompu. Réessayez.",
    },
}


def language_of(wanted: str | None, accept: str) -> str:
    """Return `wanted` (?lang=) if it is available, otherwise the best of Accept-Language, otherwise English."""
    if wanted in LANGUAGES:
        return str(wanted)
    ranked = sorted((_quality(part) for part in accept.split(",")), key=lambda found: -found[0])
    return next((language for quality, language in ranked if quality > 0 and language in LANGUAGES), "en")


def _quality(part: str) -> tuple[float, str]:
    """
    Parse `fr-CH;q=0.8` to (0.8, "fr").

    https://www.rfc-editor.org/rfc/rfc9110#name-accept-language
    """
    name, _, quality = part.strip().partition(";q=")
    try:
        value = float(quality) if quality else 1.0
    except ValueError:
        value = 0.0
    return value, name.partition("-")[0].lower()
