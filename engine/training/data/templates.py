"""Facts with questions: document templates over random entities.

A template file (`templates.txt`) holds one template a line. `Template.instantiate` fills its slots and gives a Fact: one to
three sentences in every wording's own words, and questions with the key that must be unique in a document for the question
to have one answer.
"""

import dataclasses
import os
import re

_ONSETS = "b c d f g h j k l m n p r s t v w z br cr dr fr gr pr tr bl cl fl gl pl sl st sp sk sh ch th qu".split()
_VOWELS = "a e i o u a e i o ai ea ee oo ou ia".split()
_CODAS = ["", "", "", "n", "r", "l", "s", "t", "m", "nd", "rt", "ck", "x", "st", "ng", "th"]


def syllables(rng, low, high):
    """A pronounceable random word of low..high syllables."""
    return "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(rng.randint(low, high)))


def _words(text):
    return [w.strip() for w in text.strip().split(",")]


_FIRST = _words("""Anna, Ben, Clara, David, Elena, Felix, Grace, Henry, Ines, Jonas, Karin, Luis, Maria, Nadia, Oscar, Petra, Quentin,
Rosa, Simon, Tara, Ulrich, Vera, Walter, Xenia, Yusuf, Zoe, Aisha, Boris, Chen, Dmitri, Esther, Farid, Gita, Hiro, Ivan, Jamal,
Kofi, Leila, Mehmet, Nora, Omar, Priya, Ravi, Sofia, Tomas, Uma, Viktor, Wanda, Ying, Zara, Alan, Beth, Carl, Diana, Emil, Fiona,
George, Helen, Igor, Julia, Kevin, Linda, Mark, Nina, Paul, Ruth, Sara, Tim, Martin, Laura, Peter, Susan, James, Emma, Robert""")
_LISTS = {
    "role": """treasurer, chair, director, head of sales, chief engineer, secretary, managing director, head of research, plant manager,
        legal adviser, auditor, press officer, safety officer, head nurse, archivist, chief accountant, data protection officer,
        project leader, quality manager, head of logistics, caretaker, software architect, personnel manager, vice president""",
    "country": """Norway, Portugal, Kenya, Brazil, Japan, Canada, Poland, Vietnam, Chile, Egypt, Iceland, Turkey, Ghana, Mexico, Finland,
        Nepal, Peru, Greece, Ireland, Morocco, Thailand, Hungary, New Zealand, Austria, Switzerland, Germany, France, Italy, Spain,
        India, Estonia, Jordan, Cuba, Malta, Oman, Laos, Fiji, Zambia, England, Scotland, Delaware, California, Singapore""",
    "lang": """Norwegian, Portuguese, Swahili, Japanese, Polish, Vietnamese, Arabic, Icelandic, Turkish, Finnish, Nepali, Greek, Irish,
        Thai, Hungarian, German, French, Italian, Spanish, Hindi, Estonian, Maltese, Danish, Korean, Czech, Welsh, Latvian, Basque""",
    "contract": """service agreement, lease, licence agreement, supply contract, employment contract, maintenance agreement, loan agreement,
        consulting agreement, framework contract, partnership agreement, purchase agreement, insurance contract, hosting agreement,
        distribution agreement, non-disclosure agreement, settlement, building contract, research agreement, franchise agreement""",
    "duration": """six months, one year, two years, three years, five years, 24 months, 90 days, 18 months, ten years, four weeks,
        30 days, one month, two weeks, 36 months, seven years, 12 weeks, a decade, one quarter, 48 hours, three months, half a year""",
    "part": """red button, power switch, fuse, drive belt, filter, pump, display, cooling fan, main valve, battery pack, hinge, gear box,
        pressure sensor, cable, nozzle, motor, lid, door lock, control lever, gasket, piston, antenna, heating element, brake pad,
        rear axle, oil seal, thermostat, safety catch, reset key, network cable, release handle, front cover, coupling, bearing""",
    "remedy": """call the service department, switch off the main supply, replace it with an original spare part, do not open the housing,
        return the device to the dealer, stop the machine at once, use the emergency lever, let a qualified electrician repair it,
        drain the water first, unplug the device, inform the shift leader, the device switches to safe mode, an alarm sounds for
        ten seconds, the machine slows down, production must be halted, the guarantee becomes void, open the bypass by hand""",
    "cause": """the tank is empty, the filter is blocked, the temperature is too high, the door is open, the battery is low, the network is
        down, no paper is left, the disk is full, the key has expired, the voltage is too low, the sensor is dirty, the lid is not
        closed, the input is negative, the file is missing, the user has no permission, the index is out of range, the queue is full,
        the buffer is empty, the checksum is wrong, the licence has expired, the clock is not set, the memory is exhausted,
        the connection was refused, the argument is null, a timeout occurs, the pressure drops, the belt is worn""",
    "cause2": """the ground was frozen, funding ran out, two workers fell ill, the permit came late, a storm had damaged the pillars,
        the supplier went bankrupt, the tests failed, of a strike, the plans were lost, of a dispute about pay, health problems had
        grown worse, a fire destroyed the archive, of heavy rain, the steel was faulty, nobody could agree on a date,
        of rust, the river had flooded the road, inspectors found cracks, a family matter came up, of a lack of parts""",
    "topic": """water quality, road safety, the new archive, staff training, energy use, flood protection, data protection, the annual fair,
        waste disposal, school meals, solar power, bird migration, digital records, noise control, public transport, soil erosion,
        machine translation, the harbour wall, heart disease, the pension fund, fire drills, protein folding, urban gardens,
        wind turbines, coral reefs, the summer festival, customer complaints, the merger, the roof repair, cold storage, glaciers""",
    "room": """the blue room, room 14, room 203, the main hall, the library, the canteen, conference room B, the small office, the attic,
        room 7, the lecture hall, the basement, the garden house, meeting room 3, the council chamber, the chapel, room 118""",
    "rose": "rose, fell, grew, dropped, increased, declined, went up, went down, climbed, shrank",
    "drug": "", "chem": "", "software": "", "service": "",
    "symptom": """headache, dizziness, a rash, dry mouth, nausea, fever, back pain, a cough, blurred vision, loss of appetite, itching,
        chest pain, swollen ankles, insomnia, stomach cramps, shortness of breath, hearing loss, fatigue, a nosebleed, trembling""",
    "disease": """high blood pressure, asthma, gout, migraine, eczema, malaria, anaemia, arthritis, epilepsy, bronchitis, diabetes, hay fever,
        tonsillitis, depression, ulcers, glaucoma, sleep disorders, iron deficiency, thyroid disease, kidney stones, tuberculosis""",
    "drugremedy": """skip it and take the next one as usual, take it as soon as you remember, do not take a double dose, ask your doctor,
        take it with plenty of water, wait until the next morning, contact the hospital, take half of it at once""",
    "container": """a glass bottle, a steel tank, a dark cupboard, a sealed bag, a plastic drum, a fireproof cabinet, a wooden crate, a cold room,
        an open tray, a lead box, a brown flask, a ventilated shed""",
    "firstaid": """rinse with water for ten minutes, see a doctor at once, wash with soap, do not rub, remove all clothing, apply a cold bandage,
        call the poison centre, cover the place with gauze, drink plenty of milk, move into fresh air, use the eye shower""",
    "gear": """rubber gloves, safety glasses, a face mask, a lead apron, steel-capped boots, ear protection, a breathing apparatus, a helmet,
        a fire-resistant coat, a harness, a dust mask, cotton gloves, a full face shield, antistatic shoes""",
    "animal": """heron, badger, lynx, tortoise, salmon, otter, eagle, hedgehog, beaver, owl, pike, marten, wolf, crane, newt, ibex, seal,
        hamster, falcon, viper, stork, moose, puffin, squid, gecko, walrus, camel, donkey, goose, llama, sheep, ostrich, raven""",
    "food": """rye flour, goat cheese, dried beans, oats, honey, small fish, acorns, butter, brown sugar, beetles, seaweed, mushrooms, lentils,
        berries, snails, chestnuts, barley, red cabbage, walnuts, roots, eggs, spinach, plums, earthworms, rice, grass, cider, yoghurt""",
    "habitat": """dense forests, salt marshes, dry grassland, mountain streams, caves, reed beds, coastal cliffs, river banks, peat bogs, old barns,
        alpine meadows, mangroves, sand dunes, deep lakes, city parks, rocky deserts""",
    "field": """botany, law, chemistry, economics, architecture, medicine, history, physics, music, theology, geology, linguistics,
        philosophy, mathematics, engineering, astronomy, nursing, agriculture, psychology, forestry, statistics, archaeology""",
    "optdoes": """prints only the names, asks before overwriting, writes no output, follows symbolic links, sorts by size, ignores case, runs in
        the background, reads from standard input, shows hidden files, counts the lines, keeps the old files, uses four threads,
        stops at the first error, compresses the result, prints the version, skips empty lines, limits the depth to three,
        waits for the server, restarts from the last checkpoint, removes temporary files, adds line numbers, checks all signatures""",
    "filecontent": """the list of users, the access rules, all passwords in encrypted form, the boot messages, the time zone, the host names,
        the default settings, the test results, the public keys, the price list, the backup schedule, the error log, the mail aliases,
        the licence text, the calibration data, the index of chapters, the employee records, the network addresses""",
    "bug": """lost the cursor position, doubled every line, broke the search in long files, crashed on empty input, hid the menu bar,
        printed dates in the wrong order, ignored the last page, leaked memory during sorting, blocked the login screen,
        rounded prices up, deleted unsaved notes, froze the progress bar, mixed up left and right, reset the time zone""",
    "bug2": """connection timed out, out of memory, disk quota exceeded, permission denied, certificate has expired, no route to host,
        invalid token, checksum mismatch, too many open files, deadlock detected, response too large, unknown user, bad gateway,
        duplicate key, stale lock removed, retry limit reached, payload truncated, unexpected end of file, handshake failed""",
    "returns": """the number of bytes written, a sorted copy of the list, true on success, the first match or nothing, the index of the last
        element, a new handle, the remaining time in seconds, the parent node, zero if the file is empty, the old value, an iterator
        over the keys, the current position, a pair of bounds, the shortest path, a random seed, the decoded message""",
    "os": "Linux, Windows 10, macOS 12, FreeBSD 13, Debian 12, Android 9, a 64-bit system, Ubuntu 22.04, any Unix, Windows 11",
    "duty": """sign the guest book, wear a badge, keep a record of all sales, inform the authorities, leave their bags at the door, register in
        advance, carry an identity card, report any accident, store documents for ten years, switch off their phones, file a yearly
        statement, wash their hands, keep to the marked paths, appoint a deputy, test the alarm each month, pay a deposit,
        show a valid ticket, take off their shoes, follow a guide, publish their accounts, label all containers""",
    "forbidden": """smoke, take photographs, swim, feed the animals, light a fire, use a mobile phone, bring dogs, eat or drink, park a car, play
        loud music, run, pick flowers, fly drones, ride a bicycle, touch the exhibits, fish, camp overnight, sell goods, climb the fence""",
    "offence": """drives without a licence, dumps rubbish in the woods, travels without a ticket, blocks an exit, sells fireworks to children,
        ignores a red light, removes a seal, burns garden waste, gives false information, parks on the pavement, damages a monument,
        fishes without a permit, opens a hydrant, fails to register a dog, copies a passport""",
    "dish": """apple pie, potato gratin, rye bread, carrot cake, onion tart, fish pie, cheese rolls, plum cake, lentil loaf, nut biscuits, lasagne,
        stuffed peppers, gingerbread, lemon tart, moussaka, leek quiche, rice pudding, walnut bread, goulash, cherry crumble""",
    "plant": """fern, orchid, cactus, fig tree, ivy, basil, lemon tree, aloe, begonia, palm, bonsai, rosemary, violet, rubber plant, lily, myrtle,
        gardenia, tulip, dragon tree, peppermint, azalea, coffee bush, hibiscus, yucca""",
    "light": """full sun, half shade, a cool corner, bright light, a dark room, a warm window, indirect light, the shade of a tree""",
    "tool": """a torque wrench, a hex key, a flat screwdriver, a pair of pliers, a ring spanner, a socket wrench, a small hammer, an impact driver""",
    "material": """oak, aluminium, recycled plastic, stainless steel, bamboo, carbon fibre, cotton, glass, brass, leather, cork, titanium, wool,
        ceramic, silicone, copper, birch plywood, rubber, linen, marble""",
    "color": "red, green, blue, yellow, white, black, orange, purple, grey, brown, pink, silver, turquoise, beige",
    "procedure": """the start-up, the inspection, the cleaning cycle, the evacuation, the registration, the calibration, the software update,
        the annual audit, the blood test, the paint job, the oil change, the inventory, the launch, the interview, the data transfer,
        the sterilisation, the election, the shutdown, the assembly of the frame, the site visit, the tax return, the surgery""",
    "action": """close all valves, note the meter reading, remove the cover, enter your number, save all files, warm up the engine, count the
        votes twice, disconnect the power, clean the surface with alcohol, sign the form, ask for identification, draw a sample,
        lock the doors, check the oil level, print two copies, weigh the container, inform the neighbours, take off all jewellery,
        set the switch to zero, empty the tray, fill in the date, restart the server, measure the voltage, mark the position""",
    "opinion": """prefer the train, have never voted, want more parks, use two phones, drink tea at breakfast, fear rising rents, support the new
        bridge, own a bicycle, would move abroad, read no newspaper, trust the police, eat no meat, work at night, oppose the toll""",
    "who": """employers, landlords, drivers, shipowners, banks, schools, manufacturers, hospitals, importers, publishers, airlines, farmers, traders,
        pharmacists, dog owners, carriers, brokers, water suppliers""",
    "term": """working day, vessel, consumer, dwelling, goods, force majeure, subsidiary, minor, public road, waste, net income, carrier,
        personal data, beneficiary, dangerous animal, building line, broadcast, holder, closing date, affiliate, deliverable""",
    "definition": """any day except Saturday and Sunday, a craft longer than seven metres, a person under eighteen, all movable property, a place
        used for sleeping, any event beyond reasonable control, a company owned by more than half, income after tax, anything
        thrown away by its owner, any data about a living person, the one who has possession, a road open to all traffic""",
    "insurance": """the household policy, travel insurance, the legal aid policy, car insurance, the fire policy, dental cover, the liability policy,
        pet insurance, the life policy, flood cover, the theft policy, bicycle insurance, the basic tariff, the premium tariff""",
    "damage": """damage by frost, lost keys, cosmetic surgery, war and riots, glass breakage, damage caused on purpose, hire cars, injuries at work,
        stolen cash, old tyres, water from open windows, wear and tear, accidents under alcohol, rented rooms, lost luggage""",
    "weekday": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "exit": "north stairs, rear door, fire escape, main entrance, garden gate, east exit, cellar door, loading ramp",
}
_LISTS = {k: _words(v) for k, v in _LISTS.items() if v}
_MONTHS = "January February March April May June July August September October November December".split()
_PRODUCT_NOUNS = _words("""pump, drill, kettle, printer, scanner, heater, mixer, tractor, camera, phone, router, saw, lamp, vacuum cleaner, dishwasher,
    projector, bicycle, freezer, generator, scale, toaster, telescope, compressor, lawn mower, washing machine, microscope, oven, tent, boiler""")
_ORG_TAILS = _words("""Ltd, Inc, GmbH, Group, Bank, Holdings, Foundation, Institute, Works, Logistics, Foods, Energy, Partners, Museum, Hospital, Airlines,
    Press, Labs, Brothers, & Sons, Council, Steel, Pharma, Insurance, Software, College, Brewery, Society""")


class Entities:
    """Random values by slot type; every call draws anew. `rng` is a random.Random."""

    def __init__(self, rng):
        self.rng = rng

    def last(self):
        return syllables(self.rng, 1, 3).capitalize() + self.rng.choice(["", "", "son", "er", "ski", "ov", "ez", "man", "ley"])

    def name(self, low=1, high=3):
        return syllables(self.rng, low, high).capitalize()

    def _code(self):
        rng = self.rng
        letters = lambda n: "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(n))
        digits = lambda n: "".join(rng.choice("0123456789") for _ in range(n))
        return rng.choice([lambda: letters(2) + "-" + digits(3), lambda: letters(1) + digits(3), lambda: digits(2) + letters(3),
                           lambda: letters(3) + digits(2), lambda: "E" + digits(3), lambda: letters(2) + digits(4),
                           lambda: digits(3) + "/" + digits(2)])()

    def number(self):
        rng = self.rng
        n = int(10 ** rng.uniform(1, 6))
        return f"{n:,}" if rng.random() < 0.4 else str(n)

    def value(self, kind):
        """A value for slot type `kind` (the types used in the template files)."""
        rng = self.rng
        if kind in _LISTS:
            return rng.choice(_LISTS[kind])
        if kind == "person":
            return rng.choice([f"{rng.choice(_FIRST)} {self.last()}"] * 5 + [f"Dr {self.last()}", f"Ms {self.last()}", f"Mr {self.last()}"])
        if kind == "org":
            return f"{self.name()} {rng.choice(_ORG_TAILS)}"
        if kind == "product":
            return rng.choice([f"{self.name()} {rng.choice(_PRODUCT_NOUNS)}", f"{rng.choice(_PRODUCT_NOUNS)} {self._code()}",
                               f"{self.name(1, 2)} {rng.randint(2, 900)}"])
        if kind == "software":
            return rng.choice([self.name(1, 2), syllables(rng, 1, 2), f"{self.name(1, 2)} {rng.choice(['Office', 'Editor', 'Server', 'Studio'])}"])
        if kind == "date":
            day, month, year = rng.randint(1, 28), rng.choice(_MONTHS), rng.randint(1990, 2035)
            return rng.choice([f"{day} {month} {year}", f"{month} {day}, {year}", f"{year}-{_MONTHS.index(month) + 1:02d}-{day:02d}",
                               f"{day}/{_MONTHS.index(month) + 1}/{year}", f"{day} {month}"])
        if kind == "time":
            return rng.choice([f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}", f"{rng.randint(1, 12)} {rng.choice(['a.m.', 'p.m.'])}".replace(".", ""),
                               f"{rng.randint(1, 12)}:{rng.randint(0, 5)}0 {rng.choice(['am', 'pm'])}"])
        if kind == "money":
            unit = rng.choice(["€{}", "${}", "{} euros", "{} dollars", "£{}", "{} yen", "{} francs", "CHF {}", "{} crowns"])
            return unit.format(self.number() if rng.random() < 0.7 else f"{rng.randint(1, 900)}.{rng.randint(10, 99)}")
        simple = {
            "city": lambda: self.name(1, 3) + rng.choice(["", "", "", "burg", "ton", "ville", " Bay", "stad", "grad"]),
            "last": self.last, "code": self._code, "gate": self._code, "num": self.number, "var": lambda: rng.choice(
                [syllables(rng, 1, 2), self._code(), syllables(rng, 1, 2).upper(), "max_" + syllables(rng, 1, 2)]),
            "secret": lambda: syllables(rng, 2, 3), "chem": lambda: rng.choice([syllables(rng, 1, 2) + t for t in ("ol", "ine", "ium", "ate", "ane", "ic acid")]),
            "drug": lambda: self.name(1, 2) + rng.choice(["ol", "ine", "ax", "ipril", "mycin", ""]),
            "version": lambda: ".".join(str(rng.randint(0, 20)) for _ in range(rng.randint(2, 3))),
            "year": lambda: str(rng.randint(1700, 2060)), "small": lambda: str(rng.randint(2, 60)), "tiny": lambda: rng.choice(["nil", "zero", "1"]),
            "days": lambda: rng.choice([str(rng.randint(2, 180)), "ten", "fourteen", "thirty", "sixty", "seven"]),
            "hours": lambda: str(rng.randint(2, 48)), "minutes": lambda: str(rng.randint(2, 90)),
            "pct": lambda: rng.choice([f"{rng.randint(1, 99)} %", f"{rng.randint(1, 99)}.{rng.randint(1, 9)}%", f"{rng.randint(2, 90)} percent"]),
            "dist": lambda: f"{self.number()} {rng.choice(['km', 'kilometres', 'miles', 'metres'])}",
            "height": lambda: f"{rng.randint(200, 8000)} {rng.choice(['metres', 'm', 'feet'])}",
            "weight": lambda: f"{rng.randint(2, 950)} {rng.choice(['g', 'kg', 'grams', 'pounds', 'kilograms'])}",
            "temp": lambda: f"{rng.choice(['', '', '-', 'minus '])}{rng.randint(1, 400)} {rng.choice(['°C', 'degrees', '°F', 'K'])}",
            "address": lambda: f"{rng.randint(1, 250)} {self.name(1, 2)} {rng.choice(['Street', 'Road', 'Lane', 'Avenue', 'Square'])}",
            "street": lambda: f"{self.name(1, 2)} {rng.choice(['Street', 'Road', 'Square', 'Park'])}",
            "phone": lambda: f"+{rng.randint(1, 99)} {rng.randint(10, 999)} {rng.randint(1000, 99999)}",
            "ip": lambda: ".".join(str(rng.randint(1, 254)) for _ in range(4)), "port": lambda: str(rng.randint(20, 60000)),
            "login": lambda: syllables(rng, 1, 2) + rng.choice(["", str(rng.randint(1, 99)), "_" + rng.choice("abcdefgh")]),
            "service": lambda: syllables(rng, 1, 2) + rng.choice(["d", "-server", "-api", "db", "-gateway", "", "-worker"]),
            "command": lambda: rng.choice([syllables(rng, 1, 2), f"{syllables(rng, 1, 1)} {rng.choice(['sync', 'list', 'build', 'install', 'push'])}"]),
            "option": lambda: rng.choice(["-" + rng.choice("abcdefghijklmnopqrstuvwxyzABCDEFG"), "--" + syllables(rng, 1, 2),
                                          f"--{rng.choice(['no', 'with', 'max', 'use'])}-{syllables(rng, 1, 2)}"]),
            "setting": lambda: f"{syllables(rng, 1, 2)}_{rng.choice(['timeout', 'size', 'limit', 'depth', 'rate', 'count', 'interval'])}",
            "file": lambda: f"{rng.choice(['/etc/', '/var/', '', 'data/', 'C:/'])}{syllables(rng, 1, 2)}.{rng.choice(['conf', 'txt', 'log', 'db', 'ini', 'json', 'csv'])}",
            "func": lambda: rng.choice([f"{rng.choice(['get', 'find', 'read', 'make', 'next'])}_{syllables(rng, 1, 2)}", f"{syllables(rng, 1, 2)}()",
                                        f"{self.name(1, 2)}{self.name(1, 2)}"]),
            "book": lambda: '"' + rng.choice(["The {} of {}", "{} and {}", "A {} in {}", "{}'s {}"]).format(self.name(1, 2), self.name(1, 2)) + '"',
            "prize": lambda: f"{self.name(1, 2)} {rng.choice(['Prize', 'Medal', 'Award'])}", "river": lambda: f"{self.name(1, 2)} {rng.choice(['River', ''])}".strip(),
            "mountain": lambda: f"{rng.choice(['Mount', 'Pico', 'Piz'])} {self.name(1, 2)}", "ship": lambda: f"{rng.choice(['SS', 'MS', ''])} {self.name(1, 3)}".strip(),
            "event": lambda: f"{self.name(1, 2)} {rng.choice(['Festival', 'Conference', 'Marathon', 'Fair', 'Congress', 'Cup'])}",
            "team": lambda: f"{self.name(1, 2)} {rng.choice(['United', 'Rovers', 'City', 'Tigers', 'Athletic', 'Wolves'])}",
            "place": lambda: f"the {self.name(1, 2)} {rng.choice(['Museum', 'Library', 'Park', 'Building', 'Castle', 'Tower', 'Laboratory', 'Zoo', 'Theatre'])}",
            "law": lambda: f"{self.name(1, 2)} {rng.choice(['Act', 'Code', 'Ordinance', 'Regulation', 'Bylaw'])}",
            "project": lambda: rng.choice([f"Project {self.name(1, 2)}", f"the {self.name(1, 2)} project"]),
        }
        return simple[kind]()


@dataclasses.dataclass
class Fact:
    """`sentences` in order; `questions` = [(text, key)], key unique to one answer within a document; `related`: the same
    template with some slot values kept, for distractors."""
    template: "Template"
    values: dict
    sentences: list
    questions: list


_SLOT = re.compile(r"\{(\w+)(?::(\w+))?\}")


class Template:
    """One line of a template file; `number` identifies it in question keys."""

    def __init__(self, line, number):
        statements, questions = line.split(" ## ")
        self.number = number
        self.statements = [s.strip() for s in statements.split(" | ")]
        self.questions = [q.strip() for q in questions.split(" | ")]
        self.slots = list(dict.fromkeys(m.group(0) for m in _SLOT.finditer(line)))
        # Slots that appear in some question: what a distractor may share.
        self.asked = [s for s in self.slots if any(s in q for q in self.questions)]

    def _fill(self, text, values):
        text = _SLOT.sub(lambda m: values[m.group(0)], text)
        return text[:1].upper() + text[1:]

    def instantiate(self, rng, entities, keep=None):
        """Draws a Fact; `keep` holds slot values to reuse."""
        values = {s: entities.value(_SLOT.match(s).group(1)) for s in self.slots}
        for a, b in (("{person}", "{last}"),):
            if a in values and b in values:
                values[b] = values[a].split()[-1]
        if keep:
            values.update(keep)
        sentences = [self._fill(part.strip(), values) for part in rng.choice(self.statements).split("//")]
        questions = [(self._fill(q, values), (self.number, *((s, values[s]) for s in self.slots if s in q))) for q in self.questions]
        return Fact(self, values, sentences, questions)

    def keys_of(self, values):
        """All question keys that a fact with these values could answer."""
        return {(self.number, *((s, values[s]) for s in self.slots if s in q)) for q in self.questions}


def load(name):
    """Templates of a file in this folder."""
    path = os.path.join(os.path.dirname(__file__), name)
    with open(path, encoding="utf-8") as f:
        lines = [line.strip() for line in f if line.strip() and not line.startswith("#")]
    return [Template(line, f"{name}:{i}") for i, line in enumerate(lines)]
