"""The wordings of the constraint types about whole documents; the held-out ones never reach training data."""

from __future__ import annotations

XML = (
    "Give the whole answer as well-formed XML with the root element <{root}> and the elements {elements} in it.",
    "Answer in XML only. The root is <{root}>; inside it there must be {elements}.",
    "Your answer should be one XML document, <{root}> at the top, with {elements} below.",
    "Write XML and nothing else: a root called {root} that holds {elements}.",
    "Format everything as XML. Root element: {root}. Required elements: {elements}.",
    "Please return a well-formed XML document whose root is <{root}> and that has {elements}.",
    "Make sure that the full output is XML, starts with <{root}> and contains {elements}.",
    "I will read this with an XML parser: use <{root}> as the root and {elements} for the parts.",
    "Put the content into the XML elements {elements}, all of them within <{root}>.",
    "Output XML with no text around it. <{root}> should enclose {elements}.",
    "Could you answer as XML with the root {root} and the elements {elements}?",
    "Output: XML, root {root}, elements {elements}.",
)
XML_HELDOUT = (
    "An importer takes XML from you, with {elements} somewhere under <{root}>, and it takes no prose.",
    "Every opening tag closed, <{root}> outermost, {elements} inside: hand it in as XML.",
    "Required: an XML tree. Its root is named {root}; look to it that {elements} occur.",
    "The entire reply is to be XML that starts at <{root}> and makes use of {elements}.",
)
YAML = (
    "Give your whole answer as YAML with the top-level keys {keys}.",
    "Answer only in YAML. It must have the keys {keys}.",
    "Your answer should be a YAML mapping that contains {keys}.",
    "Write everything as YAML, with {keys} as keys at the top level.",
    "Please return valid YAML and nothing else; required keys: {keys}.",
    "Make sure that the output is YAML and has {keys} at its top level.",
    "I load your answer with a YAML parser and look up {keys}.",
    "Use YAML for all of the answer. The keys {keys} have to be there.",
    "Format the content as one YAML document with the keys {keys}.",
    "Put it into YAML (no prose around it) under the keys {keys}.",
    "Could you answer in YAML with the keys {keys}?",
    "Output: YAML. Keys: {keys}.",
)
YAML_HELDOUT = (
    "A configuration loader reads this, so send one YAML mapping where {keys} can be found.",
    "No sentence outside of YAML, please, and do not forget {keys} as keys.",
    "Required: YAML whose outermost level has {keys}.",
    "What you have to say goes under {keys} in a YAML document.",
)
CSV = (
    "Give the whole answer as CSV with the header {header} and exactly {n} data row{s}.",
    "Answer in CSV only. First line: {header}. Then {spelled} row{s}.",
    "Your answer should be a CSV file with the columns {columns} and {n} row{s} below the header line.",
    "Write comma-separated values: the header {header}, then {spelled} line{s} of data.",
    "Please return CSV and nothing else, headed by {header}, with {n} record{s}.",
    "Make sure the output is CSV that starts with {header} and has {n} more row{s}.",
    "I will open it as CSV; use the columns {columns} and {spelled} row{s} of values.",
    "Format all of it as CSV. Header: {header}. Number of rows after it: {n}.",
    "Produce {n} row{s} of CSV under the header line {header}, with no text around them.",
    "Put the content into CSV, {columns} being the columns, with exactly {spelled} row{s}.",
    "Could you answer as CSV with the header {header} and {n} row{s}?",
    "Output: CSV, header {header}, {n} row{s}.",
)
CSV_HELDOUT = (
    "A spreadsheet will import this: {header} on line one, {spelled} record{s} after that, commas in between.",
    "Every record needs a value for {columns}; there are {n} of them, as CSV with a header line.",
    "Required: CSV text, {n} record{s} long when {header} at the top is not counted.",
    "Nothing but comma-separated lines, please: {header} first and {spelled} of content.",
)
JSON_KEYS = (
    "Answer with one JSON object that has these keys: {fields}.",
    "Give the whole answer as a JSON object with the keys {fields}; the types are in parentheses.",
    "Your answer should be JSON, an object containing {fields}.",
    "Return only a JSON object. Required keys and their types: {fields}.",
    "Write everything as a JSON object with at least {fields}.",
    "Please use JSON with the following keys: {fields}.",
    "Make sure your output is a JSON object in which you set {fields}.",
    "My program reads {fields} from the JSON object that you return.",
    "Put the answer into JSON and fill the keys {fields}.",
    "Format: a JSON object, nothing around it, with {fields}.",
    "Could you answer in JSON with {fields} as keys?",
    "JSON keys needed: {fields}.",
)
JSON_KEYS_HELDOUT = (
    "An API consumer expects an object in JSON from you; what it looks up is {fields}.",
    "Leave no key out of the JSON object: {fields}.",
    "Required: one object, in JSON, that carries {fields}.",
    "Say it by way of a JSON object in which {fields} are present and of the right kind.",
)
JSON_ARRAY = (
    "Give your whole answer as a JSON array with exactly {n} item{s}.",
    "Answer only with a JSON array of {spelled} element{s}.",
    "Your answer should be one JSON array that has {n} entr{ies}.",
    "Write everything as a JSON array, [ ... ], of exactly {n} item{s}.",
    "Return a JSON array with {spelled} item{s} and no text around it.",
    "Please put the answer into a JSON array. Number of items: {n}.",
    "Make sure that the output is a JSON array and that it is {n} long.",
    "I parse your answer as JSON and expect an array of {spelled}.",
    "Format all of it as an array in JSON with {n} item{s}, no more and no fewer.",
    "Use a JSON array with precisely {spelled} entr{ies} for the complete answer.",
    "Could you answer as a JSON array of {n} item{s}?",
    "Output: JSON array, {n} item{s}.",
)
JSON_ARRAY_HELDOUT = (
    "The length of the array that I read from your JSON should be {n}.",
    "From [ to ], nothing but JSON, and {spelled} element{s} between the commas.",
    "Required: a list in JSON notation that counts {n} element{s}.",
    "An array is what the program takes, in JSON, with {spelled} thing{s} in it.",
)
JSON_LINES = (
    "Give your whole answer as JSON Lines: exactly {n} line{s}, each one a JSON object.",
    "Answer in JSONL with {spelled} object{s}, one per line.",
    "Your answer should have {n} line{s}, and every line is a complete JSON object.",
    "Write {spelled} JSON object{s}, each on a line of its own, and nothing else.",
    "Return JSON Lines only. Number of objects: {n}.",
    "Please put one JSON object on each line, {n} line{s} in all.",
    "Make sure that the output is JSONL with exactly {spelled} record{s}.",
    "I read your answer line by line as JSON and expect {n} object{s}.",
    "Format all of it as JSONL (one object a line) with {n} object{s}.",
    "Use the JSON Lines format for {spelled} record{s}, without brackets or commas between them.",
    "Could you answer as JSON Lines with {n} object{s}?",
    "Output: JSONL, {n} object{s}.",
)
JSON_LINES_HELDOUT = (
    "A log reader takes one object of JSON at each line break; feed it {n}.",
    "Not an array, please: {spelled} object{s} of JSON under each other, a line for each.",
    "Required: newline-delimited JSON, {n} object{s} long.",
    "Line after line a JSON object, until there are {spelled}.",
)
JSON_SCHEMA = (
    "Answer with JSON that is valid under this JSON Schema:\n{schema}",
    "Your whole answer should be a JSON value that fits the following schema.\n{schema}",
    "Return only JSON, and make it conform to this schema: {schema}",
    "Here is a JSON Schema. Write JSON that it accepts, and nothing else.\n{schema}",
    "Please give the answer as JSON; the schema is:\n{schema}",
    "Make sure that your output validates against the JSON Schema below.\n{schema}",
    "Use JSON of exactly this shape (JSON Schema): {schema}",
    "I validate your answer with this JSON Schema:\n{schema}",
    "The output has to be JSON as described by the schema {schema}",
    "Format everything as JSON according to:\n{schema}",
    "Could you answer in JSON that satisfies this schema?\n{schema}",
    "JSON Schema of the output: {schema}",
)
JSON_SCHEMA_HELDOUT = (
    "A validator holds your JSON against the schema that follows, so leave it no reason to complain.\n{schema}",
    "What may the JSON look like? This schema says it: {schema}",
    "Required: a JSON document for which the schema below holds.\n{schema}",
    "Treat this schema as the contract for the JSON you send: {schema}",
)
