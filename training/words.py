"""The word lists of the note generator, and which of them are kept out of training.

Every list pairs the words that training may use with words that occur in held-out notes only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """Words seen in training, and words that only held-out notes use."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


def _split(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split(","))


NAMES = Words(
    train=_split(
        """
        Aaron, Abdul, Ada, Adam, Agnes, Ahmed, Aisha, Akira, Alba, Alice, Alma, Amara, Amina, Amir, Ana,
        Anders, Andrea, Anna, Anton, Arjun, Arno, Astrid, Aurel, Ayla, Bea, Ben, Bianca, Boris, Bruno,
        Camille, Carl, Carla, Carmen, Cecil, Chen, Chloe, Clara, Cora, Dana, Daniel, Dara, David, Diego, Dina,
        Dora, Edgar, Edith, Elena, Eli, Elif, Elsa, Emil, Emma, Enzo, Erik, Esme, Esther, Eva, Farah, Fatima,
        Felix, Fiona, Flora, Frank, Freya, Gita, Grace, Greta, Guido, Hana, Hannah, Harold, Hassan, Helga,
        Henry, Hugo, Ibrahim, Ida, Igor, Ines, Ingrid, Iris, Isaac, Ivan, Jack, Jade, James, Jan, Jasmin, Jin,
        Joan, Joel, Johan, Jonas, Julia, Jun, Karim, Karl, Kate, Keiko, Kofi, Lara, Laura, Leila, Lena, Leo,
        Li, Liam, Lina, Lucas, Lucy, Luis, Lydia, Mabel, Malik, Mara, Marco, Maria, Marta, Martin, Max, Maya,
        Mei, Mia, Milan, Mina, Mira, Mona, Nadia, Naomi, Nico, Nina, Noah, Nora, Olga, Oliver, Omar, Oscar,
        Otto, Paula, Pedro, Peter, Petra, Piotr, Priya, Rafael, Rania, Rashid, Ravi, Rosa, Ruth, Sam, Samir,
        Sara, Selma, Simon, Sofia, Sonia, Stefan, Sven, Tara, Tariq, Tessa, Theo, Thomas, Tina, Tom, Uma,
        Ursula, Vera, Victor, Vikram, Wanda, Wei, Wendy, Xavier, Yara, Yusuf, Zara, Zoe
        """
    ),
    held_out=_split(
        """
        Alonso, Beatrix, Bettina, Caspar, Darius, Delphine, Dmitri, Eleanor, Fabian, Gwen, Heidi, Imani,
        Jerome, Kamala, Kirsten, Lorenzo, Magnus, Matilda, Nikhil, Odette, Pascal, Quentin, Roland, Salma,
        Tobias, Valerie, Walter, Yolanda
        """
    ),
)

SYLLABLES = _split(
    """
        ba, bel, bro, cal, ci, dan, de, dor, fa, fen, gal, gi, gro, hal, he, jo, ka, kel, kir, la, lem, lo,
        mar, mi, mon, na, nel, no, or, pa, per, qui, ra, ris, ro, sal, se, sil, ta, tel, tor, tu, ul, va, ven,
        vi, wen, wi, ya, zan, zel, zo
        """
)

DOCUMENT_VERBS = _split(
    "send, write, review, sign, print, translate, update, check, file, proofread, share, finish, copy, correct"
)
DOCUMENTS = Words(
    train=_split(
        """
        agenda, agreement, analysis, article, brochure, budget, calendar, catalogue, certificate, checklist,
        contract, estimate, flyer, form, guide, handbook, invoice, leaflet, letter, list, manual, map, menu,
        minutes, newsletter, offer, outline, permit, plan, policy, presentation, press release, price list,
        programme, proposal, quote, report, schedule, script, slides, statement, summary, survey, table, tax
        return, timesheet, website
        """
    ),
    held_out=_split("charter, glossary, licence, memo, questionnaire, receipt, roster, syllabus"),
)

GOODS_VERBS = _split(
    "order, repair, clean, test, move, collect, return, replace, buy, pack, label, inspect, paint, measure"
)
GOODS = Words(
    train=_split(
        """
        alarm, banner, batteries, bicycle, blinds, boiler, boxes, cables, camera, carpet, chairs, computer,
        cupboard, curtains, desk, door, drill, engine, fence, filters, fridge, gate, heater, keyboard, keys,
        ladder, lamps, laptop, lift, locks, microphone, monitor, oven, phones, piano, printer, projector,
        pump, router, scanner, screen, sensor, server, shelves, sofa, tent, tools, trolley, uniforms, van,
        whiteboard, windows
        """
    ),
    held_out=_split("barrier, canopy, freezer, generator, kettle, mirror, radiator, speakers, turntable"),
)

EVENT_VERBS = _split("plan, book, announce, host, organise, prepare, film, advertise, rehearse, cater")
EVENTS = Words(
    train=_split(
        """
        award ceremony, breakfast, concert, conference, course, debate, dinner, exhibition, fair, farewell,
        festival, fire drill, interviews, lecture, lunch, market, open day, panel, party, picnic, quiz,
        reception, seminar, show, tour, training, trip, visit, walk, workshop
        """
    ),
    held_out=_split("auction, banquet, carnival, masterclass, parade, retreat"),
)

MODIFIERS = Words(
    train=_split(
        """
        annual, big, blue, broken, city, client, draft, final, first, garden, green, internal, kitchen, large,
        main, monthly, new, night, old, online, project, red, revised, safety, school, second, short, spare,
        spring, staff, summer, travel, weekly, winter, yearly, youth
        """
    ),
    held_out=_split("autumn, budget, crimson, hourly, marine, portable, quarterly, regional"),
)

GROUPS = Words(
    train=_split(
        """
        the board, the bank, the choir, the city, the club, the client, the council, the crew, the guests, the
        hotel, the landlord, the library, the museum, the neighbours, the new staff, the office, the parents,
        the press, the school, the shop, the students, the team, the theatre, the visitors, the volunteers
        """
    ),
    held_out=_split("the auditors, the clinic, the insurers, the mayor, the trustees"),
)

TOPICS = Words(
    train=_split(
        """
        art, board, budget, building, campaign, catering, design, editorial, energy, finance, garden, harbour,
        health, hiring, kitchen, launch, library, logistics, marketing, member, music, network, office,
        outreach, planning, product, project, quality, research, safety, sales, school, security, sport,
        staff, support, theatre, transport, weekly, youth
        """
    ),
    held_out=_split("archive, compliance, ferry, heritage, payroll, recycling, tenant"),
)

DECISION_VERBS = _split(
    "approve, cancel, change, close, delay, double, drop, end, extend, freeze, keep, limit, move, open, raise, reduce"
)
DECISION_THINGS = Words(
    train=_split(
        """
        bonus, branch, bus service, contest, cooperation, discount, entry fee, evening shift, free tickets,
        help desk, home office, launch, lease, loan, membership fee, merger, night shift, opening hours,
        overtime, parking fee, pilot, prize, probation, project, rent, sale, season, sponsorship, ticket
        price, trial, wage, waiting list
        """
    ),
    held_out=_split("franchise, grant, internship, pension, rebate, subscription"),
)

MONTHS = _split("January, February, March, April, May, June, July, August, September, October, November, December")
WEEKDAYS = _split("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")
