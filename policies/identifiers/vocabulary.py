r"""Words that name numbers, in English, Dutch, German and French; each is a piece of RE2 syntax, in any case.

``\pL*`` stands for the rest of a compound or an ending.
"""

_NUMBER = r"(?:no|nr|num|number|numbers|nummer|nummers|numéro|id|identifier)"

# What else carries long numbers in letters and mails. Used against every identifier.
CONTRARY = (
    # orders, invoices, contracts
    r"orders?", r"order" + _NUMBER, r"p\.?o\.?", r"invoices?", r"quot(?:e|ation)s?", r"bestell\pL*",
    r"bestelling\pL*", r"bestel\pL*", r"order\pL*", r"factu(?:ur|ren|re|res)\pL*", r"rechnung\pL*",
    r"auftrag\pL*", r"auftrags\pL*", r"offerte\pL*", r"angebot\pL*", r"commandes?", r"devis", r"vertrag\pL*",
    r"contra(?:c)?t\pL*", r"polis\pL*", r"policy", r"receipts?", r"bonnummer", r"beleg\pL*", r"kassenbon",
    r"reçu",
    # parcels
    r"track(?:ing)?", r"track (?:&|and|en) trace", r"parcels?", r"shipment\pL*", r"shipping", r"consignments?",
    r"waybill", r"deliver(?:y|ies)", r"zending\pL*", r"pakket\pL*", r"verzend\pL*", r"sendung\pL*",
    r"paket\pL*", r"liefer\pL*", r"colis", r"suivi", r"expédition", r"livraison", r"barcodes?", r"dhl", r"ups",
    r"fedex", r"dpd", r"postnl", r"gls",
    # telephones
    r"tel", r"tél", r"tele(?:ph|f)one?s?", r"téléphone", r"telefoon\pL*", r"telefon\pL*", r"phones?",
    r"mobiles?", r"mob", r"mobiel\pL*", r"handy\pL*", r"mobil\pL*", r"portable", r"fax", r"telefax", r"faks",
    r"call", r"whatsapp", r"sms", r"ext", r"extension", r"bel", r"bellen", r"durchwahl", r"cell", r"hotline",
    r"helpline", r"helpdesk",
    # books and things
    r"isbn(?:-1[03])?", r"issn", r"ean(?:-?13)?", r"gtin", r"upc", r"doi", r"asin", r"sku",
    r"article" + _NUMBER, r"artikel\pL*", r"item", r"items", r"part", r"parts", r"product", r"products",
    r"produkt\pL*", r"produit", r"modell?", r"catalogue", r"imei", r"imsi", r"iccid", r"sim", r"serial",
    r"serie\pL*", r"s/n", r"gerät\pL*", r"devices?", r"série", r"meters?", r"zähler\pL*", r"meternummer",
    r"compteur", r"licen[cs]es?", r"licentie\pL*", r"lizenz\pL*", r"vin", r"chassis", r"kenteken", r"asset",
    r"lot", r"batch", r"chargen\pL*", r"versions?", r"build",
    # firms, customers, members, meetings, machines
    r"tickets?", r"incidents?", r"klant\pL*", r"kunden\pL*", r"customers?", r"relatie\pL*", r"debiteur\pL*",
    r"member(?:ship)?", r"mitglied\pL*", r"lidnummer", r"lidmaatschap\pL*", r"adhérent", r"kvk\pL*", r"btw\pL*",
    r"vat", r"ust\pL*", r"steuer\pL*", r"tva", r"siren", r"siret", r"handelsregister\pL*",
    r"company " + _NUMBER, r"charity", r"utr", r"registration", r"booking", r"reservation", r"boeking\pL*",
    r"buchung\pL*", r"réservation", r"transact\pL*", r"transakt\pL*", r"timestamps?", r"meeting", r"webinar",
    r"conference", r"zoom", r"passcode", r"dial", r"hash", r"commit", r"message-id", r"sort code", r"session",
    r"coordinates", r"grant", r"purchase", r"voucher\pL*",
)  # fmt: skip

# Words that name our identifiers as often as other things: a doubt, where nothing else speaks.
AMBIGUOUS = (
    r"ref", r"refs", r"reference", r"referentie", r"referenz\pL*", r"kenmerk", r"aktenzeichen", r"référence",
    r"réf", r"case", r"zaak\pL*", r"dossier\pL*", r"akte\pL*", r"project\pL*", r"projekt\pL*", r"accounts?",
    r"rekening\pL*", r"konto\pL*", r"compte", r"code", r"amount", r"bedrag", r"betrag", r"montant", r"total",
    r"totaal", r"population", r"budget",
)  # fmt: skip

NHS_LABELS = (
    r"nhs", r"n\.h\.s", r"nhs-\pL+", r"h ?& ?c", r"hcn", r"chi", r"health (?:and|&) care " + _NUMBER,
    r"health service " + _NUMBER, r"patient(?:'s)? " + _NUMBER,
)  # fmt: skip
NHS_HINTS = (
    r"patients?", r"patient's", r"pati[eë]nt\pL*", r"gp", r"clinic(?:al|s)?", r"hospital", r"ward", r"dob",
    r"d\.o\.b", r"date of birth", r"born", r"referr(?:al|ed|als)", r"diagnos\pL*", r"medical", r"consultant",
    r"appointment", r"midwife", r"discharge\pL*", r"surgery", r"admitted", r"admission", r"treatment",
    r"prescri\pL*", r"vaccin\pL*", r"blood", r"resident", r"carer", r"child", r"mrs", r"mr", r"ms", r"miss",
    r"geboren", r"né", r"née", r"naissance", r"krankenhaus", r"ziekenhuis", r"hôpital",
    r"krankenversicherung\pL*",
)  # fmt: skip

BSN_LABELS = (
    r"bsn", r"bsn-?nummers?", r"bsn'?s", r"burgerservice-?nummers?", r"burger service nummers?",
    r"sofi-?nummers?", r"sofi", r"citizen service " + _NUMBER, r"bürgerservice-?nummern?",
    r"numéro de service (?:au )?citoyen", r"persoonsnummers?",
    r"dutch (?:national )?id(?:entification)?(?: number)?",
)  # fmt: skip
BSN_HINTS = (
    r"pati[eë]nt\pL*", r"cliënt\pL*", r"geboren", r"geb", r"geboorte\pL*", r"verzekerde\pL*", r"burger\pL*",
    r"inwoner\pL*", r"digid", r"uwv", r"belastingdienst", r"zorg\pL*", r"huisarts\pL*", r"werknemer\pL*",
    r"medewerker\pL*", r"loon\pL*", r"uitkering\pL*", r"leerling\pL*", r"kind", r"dhr", r"mevr", r"mevrouw",
    r"meneer", r"heer", r"betrokkene", r"born", r"date of birth", r"geburtsdatum", r"paspoort\pL*",
    r"legitimatie\pL*", r"identiteit\pL*", r"patients?",
)  # fmt: skip

NINO_LABELS = (
    r"nino", r"ninos", r"n\.?i\.? ?" + _NUMBER, r"ni", r"national insurance",
    r"nat(?:ional)?\.? ins(?:urance)?", r"insurance " + _NUMBER, r"sozialversicherungs\pL*",
)  # fmt: skip
NINO_HINTS = (
    r"payroll", r"employees?", r"hmrc", r"dwp", r"paye", r"tax", r"benefits?", r"universal credit",
    r"pensions?", r"pensioner", r"dob", r"date of birth", r"claimants?", r"claim", r"p45", r"p60", r"salary",
    r"wages?", r"tenant", r"starter", r"born", r"esa", r"jsa", r"pip", r"apprentice", r"student loan", r"mrs",
    r"mr", r"ms", r"miss", r"werknemer", r"arbeitnehmer",
)  # fmt: skip

CARD_LABELS = (
    r"cards?", r"card-?" + _NUMBER, r"visa", r"master ?cards?", r"amex", r"american express", r"maestro",
    r"diners(?: club)?", r"jcb", r"unionpay", r"cvv2?", r"cvc2?", r"cv2", r"expir(?:y|es|ing|ation|e)", r"exp",
    r"valid (?:thru|until|through|to)", r"pan", r"cardholder", r"kaart", r"kaarten", r"kaart-?nummers?",
    r"creditkaart\pL*", r"credit-?cards?\pL*", r"betaalkaart", r"bankpas", r"pinpas", r"vervaldatum",
    r"geldig tot", r"kaarthouder", r"kredit-?karten?\pL*", r"karten?", r"karten-?nummern?", r"gültig bis",
    r"prüfziffer", r"karteninhaber", r"cartes?", r"cb", r"cryptogramme", r"titulaire",
)  # fmt: skip
CARD_HINTS = (
    r"pay", r"paid", r"payments?", r"charged?", r"debit(?:ed)?", r"refund(?:ed)?", r"betaal\pL*",
    r"betaling\pL*", r"bezahl\pL*", r"zahlung\pL*", r"afgeschreven", r"abgebucht", r"paiements?", r"payer",
    r"payé", r"débité", r"banque", r"bank",
)  # fmt: skip
CARD_AGAINST = (

    r"(?:gift|loyalty|library|membership|travel|sim|oyster|club|bonus|store|fuel|id|identity|business|memory) cards?",
    r"cadeau\pL*", r"klantenkaart\pL*", r"ov-?chipkaart\pL*", r"spaarkaart\pL*", r"kundenkarten?\pL*",
    r"geschenk\pL*", r"carte (?:de fidélité|cadeau|d'identité|sim)",
)  # fmt: skip

IBAN_LABELS = (r"iban",)
IBAN_HINTS = (
    r"accounts?", r"rekening\pL*", r"konto\pL*", r"comptes?", r"bank\pL*", r"banque", r"bic", r"swift", r"sepa",
)  # fmt: skip
