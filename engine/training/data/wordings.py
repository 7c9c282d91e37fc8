"""How people ask: wordings around key words taken from a sentence. {k} is the key phrase."""

KEYWORD = """
What does the document say about {k}?|What is said about {k}?|Where is {k} mentioned?|Which sentence mentions {k}?|Find {k}.|{k}?|{k}
Tell me about {k}.|What about {k}?|Is there anything about {k}?|Quote the sentence about {k}.|Quote the passage on {k}.|Search for {k}.
What do we know about {k}?|What is written about {k}?|Show me the part on {k}.|Where can I read about {k}?|Please find {k} in the text.
What is the rule for {k}?|How is {k} handled?|How does {k} work?|What happens with {k}?|Why {k}?|When {k}?|Who {k}?|How {k}?
What does the text tell us about {k}?|Does the document mention {k}?|Give the statement on {k}.|I am looking for {k}.|I need to know about {k}.
What should I know about {k}?|What is the meaning of {k}?|What is {k} for?|How do I use {k}?|Can you explain {k}?|What are {k}?|What is {k}?
How is {k} defined?|Which part deals with {k}?|Cite the sentence with {k}.|In which paragraph is {k}?|What applies to {k}?|Is {k} allowed?
Do I need {k}?|What must I do about {k}?|What does it say on {k}?|Anything on {k}?|Explain {k} please.|Give me details of {k}.|Who is {k}?
Where does it say {k}?|What are the details on {k}?|Could you look up {k}?|What is known of {k}?|What can be said about {k}?|How about {k}?
When does {k} apply?|Under what conditions {k}?|What do they write about {k}?|Regarding {k}, what is stated?|Where do I find {k}?
What was decided on {k}?|What is the reason for {k}?|What is the effect of {k}?|Is it true that {k}?|What did they say about {k}?
How can {k} be done?|What is the difference with {k}?|Which {k}?|How many {k}?|How much {k}?|How long {k}?|How often {k}?|Whose {k}?
""".strip().replace("\n", "|").split("|")

# Evaluation only.
KEYWORD_HELDOUT = """
Point me to the line on {k}.|What information is given concerning {k}?|I wonder what the author writes on {k}.|Does the paper touch upon {k}?
Could somebody tell me something on {k}?|Read out what stands there on {k}.|My question concerns {k}.|Where exactly do they discuss {k}?
Let me see the remark on {k}.|What have I got to keep in mind regarding {k}?|What role is played by {k}?|Pick the sentence dealing with {k}.
""".strip().replace("\n", "|").split("|")

CLOZE = """Complete the sentence: {k} ...|How does the sentence go on: "{k}"?|{k} ...|Finish this quote: {k}|Which sentence contains "{k}"?
Find the words "{k}".|Where does it say "{k}"?|Quote the sentence that begins with "{k}".|What comes after "{k}"?|"{k}"
""".strip().replace("\n", "|").split("|")

CONDITION = """What happens if {k}?|What if {k}?|What should I do if {k}?|What happens when {k}?|What to do when {k}?|And if {k}?|What follows if {k}?
Suppose {k}. What then?|What is the consequence if {k}?|What applies if {k}?""".replace("\n", "|").split("|")

PURPOSE = """How do I {k}?|How can I {k}?|What must I do to {k}?|What is needed to {k}?|How does one {k}?|What is used to {k}?|I want to {k}.|How to {k}
What is the way to {k}?""".replace("\n", "|").split("|")

DEFINITION = """What is {k}?|What are {k}?|What does {k} mean?|Define {k}.|What kind of thing is {k}?|What is meant by {k}?|Explain what {k} is.
Tell me what {k} is.|How is {k} described?""".replace("\n", "|").split("|")

MODAL = """{m} {k}?|What {m} {s} do?|Is it true that {s} {m} {r}?|What does it say {s} {m} do?""".split("|")

WHY = """Why {k}?|What is the reason that {k}?|For what reason {k}?|How come {k}?|What causes this: {k}?""".replace("\n", "|").split("|")

NEXT = """Quote the sentence about {k} and the one after it.|Give me the sentence on {k} and the next sentence.
Quote {k} and what follows directly.""".replace("\n", "|").split("|")

PARAGRAPH = """Quote the whole paragraph about {k}.|Give me the full paragraph on {k}.|Show the complete paragraph that mentions {k}.
Read me the entire paragraph with {k}.""".replace("\n", "|").split("|")
