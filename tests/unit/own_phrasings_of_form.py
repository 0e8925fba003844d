"""The second part of `own_phrasings`: requests for a form, a case, an ending or a mark."""

from __future__ import annotations

from typing import Any

Case = tuple[str, dict[str, Any]]

NONE: dict[str, Any] = {}


def _rel(key: str, number: str, pairs: list[tuple[str, str, int]]) -> list[Case]:
    return [(text, {key: relation, number: count}) for text, relation, count in pairs]


_ATLEAST, _LESS = "at least", "less than"

FORM: dict[str, list[Case]] = {
    "detectable_content:number_placeholders": [
        ("Use at least 4 placeholders in square brackets, e.g. [street].", {"num_placeholders": 4}),
        ("The form must have three or more placeholders such as [name] or [date].", {"num_placeholders": 3}),
        ("Include no fewer than 6 placeholders represented with square brackets.", {"num_placeholders": 6}),
        ("Make sure the template holds at least two placeholders, like [guest].", {"num_placeholders": 2}),
        ("At least 5 details should be left as placeholders in [brackets].", {"num_placeholders": 5}),
        ("Draft an invitation with a minimum of 3 placeholders, written as [venue].", {"num_placeholders": 3}),
        ("There must be at least 1 placeholder, for instance [price].", {"num_placeholders": 1}),
        ("I need seven or more placeholders (square brackets, like [this]).", {"num_placeholders": 7}),
        (
            "The letter should contain at least eight bracketed placeholders, for example [company].",
            {"num_placeholders": 8},
        ),
        ("Please put at least 2 placeholders in square brackets so that I can fill them in.", {"num_placeholders": 2}),
        ("Represent placeholders by square brackets, such as [city]; use at least 4 of them.", {"num_placeholders": 4}),
        ("Your ad needs at least nine placeholders in square brackets like [phone].", {"num_placeholders": 9}),
    ],
    "detectable_content:postscript": [
        ("At the end, add a postscript starting with P.S.", {"postscript_marker": "P.S."}),
        ("Please add a postscript that begins with P.P.S", {"postscript_marker": "P.P.S"}),
        ("Finish the letter with a P.S.", {"postscript_marker": "P.S."}),
        ('Include a postscript after your answer, beginning with "P.P.S".', {"postscript_marker": "P.P.S"}),
        ("A postscript (P.S.) should follow your signature.", {"postscript_marker": "P.S."}),
        ('There has to be a note at the bottom that starts with "P.S."', {"postscript_marker": "P.S."}),
        ("Close the email with a postscript marked P.P.S.", {"postscript_marker": "P.P.S"}),
        ("Your letter must end with a postscript which starts with P.S.", {"postscript_marker": "P.S."}),
        ("Write a postscript at the end and begin it with P.S. please.", {"postscript_marker": "P.S."}),
        ("Do not forget to put a postscript with P.P.S at the end of the text.", {"postscript_marker": "P.P.S"}),
        ("Add a P.P.S. to your message.", {"postscript_marker": "P.P.S"}),
        (
            'I expect a postscript, introduced by the letters "P.S.", after the main text.',
            {"postscript_marker": "P.S."},
        ),
    ],
    "detectable_format:number_bullet_lists": [
        (
            "I need exactly 3 bullet points in markdown, such as:\n* First point\n* Second point",
            {"num_bullets": 3},
        ),
        ("List exactly five bullets, using * for each.", {"num_bullets": 5}),
        ("Summarise the plan in four bullet points.", {"num_bullets": 4}),
        ("Use precisely 6 bullet points, no more, no less.", {"num_bullets": 6}),
        ("Give me a bulleted list of exactly 7 items.", {"num_bullets": 7}),
        ("There should be 2 bullet points in your response.", {"num_bullets": 2}),
        ("Answer with a markdown bullet list that has exactly 8 points.", {"num_bullets": 8}),
        ("The response needs exactly ten bullet points (* point).", {"num_bullets": 10}),
        ("Only three bullets are allowed, and each must start with *.", {"num_bullets": 3}),
        ("Include exactly 1 bullet point in markdown: * like this", {"num_bullets": 1}),
        ("Break your tips down into exactly 9 bullet points.", {"num_bullets": 9}),
        ("Your list should have exactly 5 markdown bullet points.", {"num_bullets": 5}),
    ],
    "detectable_format:constrained_response": [
        (
            "Is the moon bigger than Mars? Answer with one of: 'My answer is yes.', 'My answer is "
            "no.', 'My answer is maybe.'",
            NONE,
        ),
        ("Choose from these: My answer is yes. My answer is no. My answer is maybe.", NONE),
        (
            'Reply with exactly one of these phrases: "My answer is yes.", "My answer is no.", "My answer is maybe."',
            NONE,
        ),
        ("Should I sell the boat? Pick one option: My answer is no. / My answer is yes. / My answer is maybe.", NONE),
        ("Only these replies are accepted:\n- My answer is yes.\n- My answer is no.\n- My answer is maybe.", NONE),
        ('Say either "My answer is yes." or "My answer is no." or "My answer is maybe."', NONE),
        ("Respond with 'My answer is maybe.' if unsure, and otherwise 'My answer is yes.' or 'My answer is no.'", NONE),
        ("You may use one of three sentences (My answer is yes., My answer is no., My answer is maybe.).", NONE),
        ("Will it rain? (My answer is yes. / My answer is no. / My answer is maybe.)", NONE),
        ('Give one of the options "my answer is yes", "my answer is no", "my answer is maybe".', NONE),
        ("Do fish sleep? Use one of: ('My answer is yes.', 'My answer is no.', 'My answer is maybe.')", NONE),
        ("Pick from\nMy answer is yes.\nMy answer is no.\nMy answer is maybe.\nwhen you answer.", NONE),
    ],
    "detectable_format:number_highlighted_sections": [
        ("Highlight at least 3 passages of the answer with markdown, e.g. *like this*.", {"num_highlights": 3}),
        ("Put at least two phrases in italics using markdown (*phrase*).", {"num_highlights": 2}),
        ("Use markdown to highlight four or more parts of the text.", {"num_highlights": 4}),
        ("At least 5 sections should be highlighted, such as *this one*.", {"num_highlights": 5}),
        ("Emphasize no fewer than 2 passages with *asterisks*.", {"num_highlights": 2}),
        ("Highlight a minimum of six phrases like *this*.", {"num_highlights": 6}),
        ("Please highlight at least one section of the reply in markdown.", {"num_highlights": 1}),
        ("Your text must have at least 3 highlighted parts: *highlighted part*.", {"num_highlights": 3}),
        ("Mark at least four important words with asterisks, as in *important*.", {"num_highlights": 4}),
        (
            "Include at least 2 highlighted text portions in markdown, i.e. *highlighted text portion*.",
            {"num_highlights": 2},
        ),
        ("Make at least 7 phrases bold or italic with markdown.", {"num_highlights": 7}),
        (
            "There have to be at least eight highlighted sections in what you write, for example *a section*.",
            {"num_highlights": 8},
        ),
    ],
    "detectable_format:multiple_sections": [
        (
            "Your answer must have 3 sections. Mark each with SECTION X.",
            {"section_spliter": "SECTION", "num_sections": 3},
        ),
        ("Split the guide into four parts, each starting with Part X.", {"section_spliter": "Part", "num_sections": 4}),
        ('Write 5 chapters. Begin every chapter with "Chapter X".', {"section_spliter": "Chapter", "num_sections": 5}),
        (
            "Organise it into 2 sections, labelled Section 1 and Section 2.",
            {"section_spliter": "Section", "num_sections": 2},
        ),
        (
            "The plan should have seven sections, with headings like Day 1, Day 2, and so forth.",
            {"section_spliter": "Day", "num_sections": 7},
        ),
        ("I want 6 sections named Topic 1, Topic 2 etc.", {"section_spliter": "Topic", "num_sections": 6}),
        (
            "Divide the text into 3 sections, such as:\nSECTION 1\n[text]\nSECTION 2\n[text]",
            {"section_spliter": "SECTION", "num_sections": 3},
        ),
        (
            'There should be 4 sections. The beginning of a section is marked by "Round X".',
            {"section_spliter": "Round", "num_sections": 4},
        ),
        (
            "Please use 8 sections, and start each of them with PART and its number, e.g. PART 1.",
            {"section_spliter": "PART", "num_sections": 8},
        ),
        (
            "Make two sections. Each section must begin with Section X, where X is 1 or 2.",
            {"section_spliter": "Section", "num_sections": 2},
        ),
        (
            "The script needs at least 3 parts, headed 'Scene 1', 'Scene 2' and so on.",
            {"section_spliter": "Scene", "num_sections": 3},
        ),
        (
            'Break it up in 5 sections and write "Step X" on top of each section.',
            {"section_spliter": "Step", "num_sections": 5},
        ),
    ],
    "detectable_format:json_format": [
        ("Give me the list in JSON format.", NONE),
        ("Wrap your entire output in JSON.", NONE),
        ("The complete answer should be a JSON object.", NONE),
        ("Return valid JSON only.", NONE),
        ("Please format your reply as JSON.", NONE),
        ("Output everything in json, you can use markdown ticks.", NONE),
        ("I want the result as a JSON block.", NONE),
        ("Your response must be in JSON.", NONE),
        ("Write a recipe using JSON format.", NONE),
        ("Present the three cities in the JSON format, please.", NONE),
        ("The entire output should be wrapped in JSON format.", NONE),
        ("Answer as a JSON array with no extra text.", NONE),
        ("Describe the animal with JSON format only.", NONE),
    ],
    "detectable_format:title": [
        ("Write a haiku and give it a title in double angular brackets, as in <<title>>.", NONE),
        ("Your poem needs a title wrapped in double angle brackets, such as <<night song>>.", NONE),
        ("Put the title inside << and >>.", NONE),
        ("Include a title like <<My Trip>>.", NONE),
        ("The answer must contain a title in double angular brackets.", NONE),
        ("Add a heading, wrapped as <<heading>>, above the story.", NONE),
        ("Make sure it has a title enclosed in double angle brackets: <<like so>>.", NONE),
        ("Give your essay a title, and put it in double angular brackets like <<essay title>>.", NONE),
        ("I want a title in <<double angle brackets>>.", NONE),
        ("Start with a title that looks like <<this>>.", NONE),
        ("Your song should have a title. The title goes between << and >>.", NONE),
        ("The story requires a title between double angular brackets.", NONE),
    ],
    "combination:two_responses": [
        ("Give two different responses and separate them with six asterisks: ******", NONE),
        ("Offer me two slogans. Put ****** between the two.", NONE),
        ("Write two versions of the toast, separated by ******.", NONE),
        ("I'd like 2 different answers, divided by 6 asterisk symbols.", NONE),
        ("Provide exactly two replies. Separate the replies by six asterisk symbols (******).", NONE),
        ("Two distinct poems, please, with ****** as the separator.", NONE),
        ("Suggest a name and then a second, different name; between them write ******.", NONE),
        ("Answer in two different ways, and use ****** to keep the responses apart.", NONE),
        ("Give me two riddles separated by 6 asterisks.", NONE),
        ("Please respond with two alternatives, ****** in the middle.", NONE),
        ("There should be two separate responses with six stars (******) between.", NONE),
        ("Your two answers must differ and must be separated by: ******", NONE),
    ],
    "combination:repeat_prompt": [
        (
            "Name three rivers in Asia.\nFirst repeat the request word for word, then answer it.",
            {"prompt_to_repeat": "Name three rivers in Asia."},
        ),
        (
            "How tall is a giraffe?\n\nBefore you answer, repeat the question above exactly.",
            {"prompt_to_repeat": "How tall is a giraffe?"},
        ),
        (
            "Explain why bread rises. Repeat the request above without change before giving the answer.",
            {"prompt_to_repeat": "Explain why bread rises."},
        ),
        (
            "Repeat the request below word for word first, then give your answer.\n\nList five trees.",
            {"prompt_to_repeat": "List five trees."},
        ),
        (
            "What is a fjord?\nStart your reply by copying the question above verbatim, and only then answer.",
            {"prompt_to_repeat": "What is a fjord?"},
        ),
        (
            "Write a motto for a bakery.\n\nFirst, restate the request above exactly as written. Do "
            "not say anything before it.",
            {"prompt_to_repeat": "Write a motto for a bakery."},
        ),
        (
            "Plan a picnic for six.\nRepeat the prompt above, then reply to it.",
            {"prompt_to_repeat": "Plan a picnic for six."},
        ),
        (
            "Who painted the ceiling? Say the question again word by word and then answer it.",
            {"prompt_to_repeat": "Who painted the ceiling?"},
        ),
        (
            "Describe a glacier.\n\nYour reply must begin with the request above, repeated verbatim.",
            {"prompt_to_repeat": "Describe a glacier."},
        ),
        (
            "Compare tea and coffee.\n\nRepeat the sentence above exactly, then answer.",
            {"prompt_to_repeat": "Compare tea and coffee."},
        ),
        (
            'First repeat the request "Sing me a lullaby." word for word, then do it.',
            {"prompt_to_repeat": "Sing me a lullaby."},
        ),
        (
            "Invent a board game.\nPlease copy the request above word for word before answering, and change nothing.",
            {"prompt_to_repeat": "Invent a board game."},
        ),
    ],
    "change_case:capital_word_frequency": _rel(
        "capital_relation",
        "capital_frequency",
        [
            ("Write at least 5 words fully in capital letters.", _ATLEAST, 5),
            ("Words in all caps should appear fewer than 4 times.", _LESS, 4),
            ("Include at least three fully capitalized words.", _ATLEAST, 3),
            ("The text should have no more than 2 words in capital letters.", _LESS, 3),
            ("At least ten words must be written in ALL CAPS.", _ATLEAST, 10),
            ("Write a minimum of 6 words in upper case.", _ATLEAST, 6),
            ("Keep words in all capitals to at most seven.", _LESS, 8),
            ("All-capital words should occur at least twice.", _ATLEAST, 2),
            ("Put emphasis by using all caps for at least 8 words.", _ATLEAST, 8),
            ("Use words with all capital letters less than 9 times.", _LESS, 9),
            ("Your story needs more than 3 words in uppercase.", _ATLEAST, 4),
            ("Have 12 or more words entirely in capitals.", _ATLEAST, 12),
        ],
    ),
    "change_case:english_capital": [
        ("Write your reply in all capital letters.", NONE),
        ("Your entire answer should be in English and in uppercase only.", NONE),
        ("USE ALL CAPS, in English, for the whole response.", NONE),
        ("Everything must be in capital letters.", NONE),
        ("Respond in English with capital letters only.", NONE),
        ("Do not include any lowercase letters in the answer.", NONE),
        ("All of the text has to be in upper case.", NONE),
        ("I want the poem in all caps.", NONE),
        ("Please answer using only uppercase letters.", NONE),
        ("Lowercase letters are not allowed.", NONE),
        ("Capitalize every letter in your reply.", NONE),
        ("Make sure that you write in English, and only in capitals.", NONE),
    ],
    "change_case:english_lowercase": [
        ("Write your reply in all lowercase letters.", NONE),
        ("Your whole answer should be in English and in lower case.", NONE),
        ("No capital letters are allowed.", NONE),
        ("Use only small letters, in English.", NONE),
        ("Please don't use any capital letters.", NONE),
        ("Everything you write has to be lowercase.", NONE),
        ("Answer without uppercase letters, please.", NONE),
        ("The story must be in lowercase letters only.", NONE),
        ("Avoid capital letters completely.", NONE),
        ("In all lowercase, tell me about bees.", NONE),
        ("Your response should be entirely in lower-case English.", NONE),
        ("Make sure there are no capitals in the reply.", NONE),
    ],
    "startend:end_checker": [
        ('End your letter with the sentence "Write back soon."', {"end_phrase": "Write back soon."}),
        (
            'Finish your answer with the exact words "over and out". Nothing should follow.',
            {"end_phrase": "over and out"},
        ),
        ("The last sentence of your reply must be 'Any further questions?'", {"end_phrase": "Any further questions?"}),
        ('Your story should end with "and they slept".', {"end_phrase": "and they slept"}),
        ('The very end of the response should read "Thank you kindly!"', {"end_phrase": "Thank you kindly!"}),
        (
            "Conclude with the phrase “Stay safe out there.” and no other words after it.",
            {"end_phrase": "Stay safe out there."},
        ),
        ("Close your speech by saying 'Let us begin.'", {"end_phrase": "Let us begin."}),
        ("Finish with this exact phrase: May the road rise.", {"end_phrase": "May the road rise."}),
        ('"Case closed." has to be the last thing you say.', {"end_phrase": "Case closed."}),
        ('Write a fable ending with the words "so it was".', {"end_phrase": "so it was"}),
        ('The text must finish with the line "Good night, moon."', {"end_phrase": "Good night, moon."}),
        ('Say "That\'s my two cents." at the very end of your answer.', {"end_phrase": "That's my two cents."}),
    ],
    "startend:quotation": [
        ("Wrap your whole reply in double quotation marks.", NONE),
        ("Put double quotes around your entire answer.", NONE),
        ("Your response should be enclosed in double quotation marks.", NONE),
        ("The complete text has to be inside double quotation marks.", NONE),
        ("Surround your answer with double quotes.", NONE),
        ("Begin and end your reply with a double quotation mark.", NONE),
        ("Everything you say must be wrapped with double quotes.", NONE),
        ("Please place your full response within quotation marks.", NONE),
        ("Double quotation marks should wrap the entire story.", NONE),
        ("Make sure your answer starts and ends with double quotation marks.", NONE),
        ("I want the entire output between double quotation marks.", NONE),
        ("Quote your whole answer using double quotation marks.", NONE),
    ],
    "punctuation:no_comma": [
        ("Do not use any commas.", NONE),
        ("Write about frogs without a comma.", NONE),
        ("Avoid using commas in the reply.", NONE),
        ("Your text must be free of commas.", NONE),
        ("No commas anywhere.", NONE),
        ("Commas are not allowed.", NONE),
        ("You can't use commas in the poem.", NONE),
        ("Refrain from the use of commas, please.", NONE),
        ("Please leave out all commas.", NONE),
        ("Zero commas should be in the answer.", NONE),
        ("The answer should never contain a comma.", NONE),
        ("Make sure that not one comma appears.", NONE),
        ("Comma usage is prohibited.", NONE),
    ],
}
