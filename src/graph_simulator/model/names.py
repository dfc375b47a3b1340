"""Invented people and companies."""

FIRST_NAMES = (
    "Amara", "Bruno", "Chidi", "Dalia", "Emil", "Farah", "Goran", "Hana", "Ivo", "Jaya",
    "Kofi", "Lena", "Mateo", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Samir", "Tilda",
    "Umar", "Vera", "Wanda", "Ximena", "Yusuf", "Zora",
)  # fmt: skip
LAST_NAMES = (
    "Abara", "Bellweather", "Castellan", "Dovetail", "Eastmarch", "Fairlight", "Greenhollow",
    "Hartsong", "Ironwood", "Juniper", "Kestrel", "Larkspur", "Moorfield", "Nightingale",
    "Oakhurst", "Pemberly", "Quillfeather", "Ravensworth", "Silverlake", "Thistledown",
    "Underhill", "Vanterpool", "Westerly", "Yarrow", "Zephyrine",
)  # fmt: skip
UNICODE_NAME = ("Søren", "Żółkiewski-Ñandú 李")
FORMULA_NAME = '=HYPERLINK("x")'
UNKNOWN_TASK = "SPATIAL_PREVIEW_BETA"

COMPANY_STEMS = (
    "Northwind", "Bluefin", "Copperline", "Driftwood", "Ember", "Foxglove", "Glasshouse",
    "Halcyon", "Inkwell", "Jetty", "Kiteworks", "Lanternfish", "Meridian", "Nimbus", "Orchard",
    "Paperboat", "Quarry", "Riverstone", "Saltmarsh", "Tangerine",
)  # fmt: skip
COMPANY_TAILS = ("Media", "Studio", "Outfitters", "Collective", "Digital", "Foods", "Travel")

TITLES = ("Media Buyer", "Account Director", "Analyst", "Creative Lead", "Finance Partner", None)
BRANDS = ("Acorn", "Birch", "Cedar", "Dune", "Elm", "Fern", "Grove", "Heath", "Iris", "Jasmine")
