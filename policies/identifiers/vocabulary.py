"""Words that name numbers, in English, Dutch, German and French.

Comma-separated, in lower case; ``*`` stands for the rest of a word (``bestel*`` is bestelling, bestelnummer, ...).
Words of a phrase are parted by a space, which also stands for the marks in n.i., h&c, s/n and covid-19.
"""


def entries(text: str) -> tuple[str, ...]:
    """Return the entries of a vocabulary text."""
    return tuple(entry for line in text.strip().splitlines() for entry in line.strip(" ,").split(", "))


# What else carries long numbers in letters and mails. It speaks against every identifier.
CONTRARY = entries(
    """
    order, orders, order*, p o, invoice, invoices, quote, quotes, quotation, bestel*, factuur*, facture*
    rechnung*, auftrag*, offerte*, angebot*, commande, commandes, devis, vertrag*, contract*, contrat*, polis*
    policy
    receipt, receipts, bonnummer, beleg*, kassenbon, reçu, purchase, voucher*
    track, tracking, track and trace, track en trace, parcel, parcels, shipment*, shipping, consignment*, waybill
    delivery, deliveries, zending*, pakket*, verzend*, sendung*, paket*, liefer*, colis, suivi, expédition
    livraison
    barcode, barcodes, dhl, ups, fedex, dpd, postnl, gls
    tel, tél, telephone*, téléphone*, telefo*, phone, phones, mobile, mobiles, mob, mobiel*, mobil*, handy*
    portable, fax, telefax, call, whatsapp, sms, ext, extension, bel, bellen, durchwahl, cell, hotline, helpline
    helpdesk
    isbn, issn, ean, gtin, upc, doi, asin, sku, article number, article no, artikel*, item, items, part, parts
    product, products, produkt*, produit, model, modell, catalogue, imei, imsi, iccid, sim, serial, serie*
    série, s n
    gerät*, device, devices, meter, meters, meternummer, zähler*, compteur, licence, license, licentie*, lizenz*
    vin, chassis, kenteken, asset, lot, batch, chargen*, version, versions, build
    ticket, tickets, incident, incidents, klant*, kunden*, customer, customers, relatie*, debiteur*, member
    membership
    mitglied*, lidnummer, lidmaatschap*, adhérent, kvk*, btw*, vat, ust*, steuer*, tva, siren, siret
    handelsregister*
    company number, company no, charity, utr, registration, booking, reservation, boeking*, buchung*, réservation
    transact*, transakt*, txn, txns, mpan, mprn, eori, timestamp, timestamps, meeting, webinar, conference
    zoom, passcode, dial, hash, commit
    message id, sort code, session, coordinates, grant
    """
)

# Words that name our identifiers as often as other things: a doubt, where nothing else speaks.
AMBIGUOUS = entries(
    """
    ref, refs, reference, referentie, referenz*, kenmerk, aktenzeichen, référence, réf, case, zaak*, dossier*, akte*
    project*, projekt*, account, accounts, rekening*, konto*, compte, code, amount, bedrag, betrag, montant, total
    totaal, population, budget
    """
)

# What may stand between a name and its number: "Order no.: #", "ISBN-10 is", "tracking code of your parcel".
LINKING = frozenset(
    entries(
        """
        no, nr, num, number, numbers, nummer, nummers, nummern, numéro, code, codes, id, ids, ref, refs
        reference, is
        was, lautet, ist, est, are, the, your, my, our, le, la, het, de, du, of, for, voor, für, pour
        """
    )
)

NHS_LABELS = entries(
    """
    nhs, nhsno, nhsnr, nhsnumber, nhsnum, n h s, h c, hcn, chi, health and care number, health care number
    health service number, patient number
    patient no, patient id, patient identifier
    """
)
NHS_HINTS = entries(
    """
    patient, patients, patiënt*, pt, pts, gp, clinic, clinical, clinics, hospital, ward, dob, d o b, date of birth
    born, referral
    referrals, referred, diagnos*, medical, consultant, appointment, midwife, discharge*, surgery, admitted
    admission, treatment, prescri*, vaccin*, blood, resident, carer, child, mrs, mr, ms, miss, geboren, né
    née, naissance
    krankenhaus, ziekenhuis, hôpital
    """
)

BSN_LABELS = entries(
    """
    bsn, bsns, bsnnr, bsnnummer*, burgerservicenummer*, burger service nummer, burgerservice nummer, sofi
    sofinummer*
    citizen service number, bürgerservicenummer*, numéro de service au citoyen, persoonsnummer*, dutch id
    """
)
BSN_HINTS = entries(
    """
    patient, patients, patiënt*, cliënt*, geboren, geb, geboorte*, verzekerde*, burger*, inwoner*, digid, uwv
    belastingdienst, zorg*, huisarts*, werknemer*, medewerker*, loon*, uitkering*, leerling*, kind, dhr, mevr
    mevrouw
    meneer, heer, betrokkene, born, date of birth, geburtsdatum, paspoort*, legitimatie*, identiteit*
    """
)

NINO_LABELS = entries(
    """
    nino, ninos, ninumber, nino number, ni, n i, national insurance, nat ins, insurance number, insurance no
    sozialversicherung*
    """
)
NINO_HINTS = entries(
    """
    payroll, employee, employees, hmrc, dwp, paye, tax, benefit, benefits, universal credit, pension*
    dob, date of birth, claimant, claimants, claim, p45, p60, salary, wage, wages, tenant, starter, born, esa
    jsa, pip
    apprentice, student loan, mrs, mr, ms, miss, werknemer, arbeitnehmer
    """
)

CARD_LABELS = entries(
    """
    card, cards, cardno, cardnumber, cc, visa, mastercard, mastercards, master card, amex, american express
    maestro, diners, jcb
    unionpay, cvv, cvv2, cvc, cvc2, cv2, expiry, expires, expiring, expiration, expire, exp, valid thru, valid until
    valid to, pan, cardholder, kaart, kaarten, kaartnummer*, creditkaart*, creditcard*, betaalkaart, bankpas, pinpas
    vervaldatum, geldig tot, kaarthouder, kreditkarte*, karte, karten, kartennummer*, gültig bis, prüfziffer
    karteninhaber, carte, cartes, cb, cryptogramme, titulaire
    """
)
CARD_HINTS = entries(
    """
    pay, paid, payment, payments, charge, charged, debit, debited, refund, refunded, betaal*, betaling*, bezahl*
    zahlung*, afgeschreven, abgebucht, paiement, paiements, payer, payé, débité, banque, bank
    """
)
CARD_AGAINST = entries(
    """
    gift card, loyalty card, library card, membership card, travel card, sim card, oyster card, club card
    bonus card
    store card, fuel card, id card, identity card, business card, memory card, cadeau*, klantenkaart*, ov chipkaart*
    ovchipkaart*, spaarkaart*, kundenkarte*, geschenk*, carte de fidélité, carte cadeau, carte d identité, carte sim
    """
)

IBAN_LABELS = entries("iban")
