"""What the sentence splitter knows about English: abbreviations, sentence starters, ordinary words.

Written for this project from general knowledge and kept short. Published IFEval counts come from a Punkt model
trained on business news, so the abbreviations are those such prose is full of (titles, months, states, companies)
and leave out what that model does not know either: after "e.g.", "i.e.", "etc." or "No." it ends the sentence.
"""

from __future__ import annotations

_TITLES = "dr mr mrs ms messrs prof sen rep reps gen col lt adm sr jr st ph.d"
_TIMES = "jan feb aug sep sept oct nov dec tues fri a.m p.m a.d"
_TRADE = "inc corp co cos ltd bros cie vs chg yr mg ct ft ave s.a a.g b.v s.p.a"
_STATES = "ala ariz calif colo conn fla ga ill kan ky mich minn miss nev okla ore pa tenn va vt wash wis"
_PLACES = "u.s u.s.a u.k u.n u.s.s.r n.y n.j n.c n.h n.v n.m s.c d.c r.i w.va l.a"
_INITIALS = "a.c a.h e.f e.h f.j g.k h.f j.b j.c j.j j.k j.p j.r m.j r.j r.h t.j w.c w.r w.w"
_LETTERS = "c d e f g h k l m n p r s t v w"  # those that stand for a name or a unit more often than for themselves

ABBREVIATIONS = frozenset(" ".join((_TITLES, _TIMES, _TRADE, _STATES, _PLACES, _INITIALS, _LETTERS)).split())

_STARTER_WORDS = """
although among both but despite even he however i if in indeed instead it many meanwhile moreover most nevertheless
nonetheless nor similarly since so some the there these they this though thus under when while yet
"""
STARTERS = frozenset(_STARTER_WORDS.split())

# Endings that names seldom have.
_ENDINGS_OF_ORDINARY = """
able age ally ance ated ates ating ence ened ents ered ested eted ful ible ical ied ifies ify ily ing ings ious ised
ises ish ism ists ities ity ively ized izes less lled lly ment ments ness ous pped rted sed sion sions ssed sted ted
thing tion tions tive ture ures ved ward wise
"""
_ENDINGS = tuple(_ENDINGS_OF_ORDINARY.split())

_FREQUENT_WORDS = """
a about above across after again against ago all almost alone along already also although always am among an and
another any anyone anything anyway anywhere apart are around as aside at away b back be became because become been
before behind being below beside besides best better between beyond both but by can cannot clearly come could did do
does done down during each early either else enough even ever every everyone everything everywhere except far few
first for forever former forth from further generally get given go goes gone had half hardly has have having he
hence her here hers herself him himself his how however if in indeed inside instead into is it its itself just last
lately later least less lest let like likely little lot lots made make many may maybe me meanwhile might mine more
moreover most mostly much must my myself near nearly neither never nevertheless next no nobody none nor not nothing
now nowhere of off often oh okay old on once one ones only onto or other others otherwise ought our ours ourselves
out outside over own per perhaps please plenty quite rather really right said same say says second see seldom
several shall she should since so some somebody somehow someone something sometimes somewhere soon still such sure
than that the their theirs them themselves then there thereby therefore these they thing things third this those
though three through throughout thus to today together tomorrow too toward towards two under unless unlike until up
upon us used usually very was way we well went were what whatever when whenever where whereas wherever whether which
whichever while who whoever whole whom whose why will with within without would yes yet you your yours yourself
"""
_FREQUENT = frozenset(_FREQUENT_WORDS.split())

_ORDINARY_WORDS = """
able absent accept act actual add adult afraid agree aim air alive allow amount analysis angle angry animal answer
appear apple apply area arm army art article ask author avoid baby bad bag ball bar base basic basil bath beach bear
beat beautiful beauty bed beer began begin believe bell bet big bird birth bite black blind block blood blow blue
board boat body bone book born boss bottle bottom bought bowl box boy brain branch brave bread break breath brick
bridge brief bright bring broke brother brought brown build built burn business busy buy cake call came camera
capital car card care career carry case cash cat catch caught cause cell center century chair chance change cheap
check cheese chicken chief child children choice choose chose church circle city claim class clean clear climate
clock close cloth cloud coat coffee cold color common company compare complete consider contact continue cook cool
corn corner correct cost count couple course court cover cow crazy cream create crime crowd cry cup curious current
customer cut cute dad daily damn dance danger dark data date daughter day dead deal dear death debt decide deep
degree desk detail die diet dig dinner dirt dirty dish doctor dog door doubt draw dream dress drew drink drive drop
drove dry duck due dust duty ear earth easy eat edge effect egg empty end energy engine enjoy enter equal evening
event example exit expect explain extra eye eyes face fact fail fair fake fall family famous farm farmer fast fat
father fault favorite fear feed feel feet fell felt field fight figure file fill film final find fine finger finish
fire fish fit fix flat flavor flew floor flower fly follow food fool foot force forest forget forgot form fought
found free fresh friend friends front fruit full fun funny future game garden gas gather gave getting gift girl give
glad glass goal god gold good goodbye got grab grand grass gray great green grew ground group grow guess guest guide
guy guys hair hand hands hang happen happy hard hat hate head health hear heard heart heat heavy held hello help hey
hide high hill history hit hold hole holiday home honest hope horse hospital hot hotel hour house human hundred
hungry hunt hurt ice idea image imagine impact include income inner island issue item job join joke joy juice jump
keep kept key kick kid kids kill kind king kitchen knew knife knock know known lack lady lake land language large
late laugh law lay lazy lead leader leaf learn leave led left leg lend lesson letter level lie life lift light limit
line lip list listen live living local long look lose lost loud love low lower luck lunch machine magic main major
male man manager map mark market master match matter meal mean meant meat medical meet member memory men message met
metal method middle milk million mind minute mirror miss mix model modern mom moment money month mood moon morning
mother mouth move movie music name narrow nature neck need new news nice night noise normal north nose note number
offer oil open orange order outer owner page paid pain pair paper parent parents park part party pass past path
patient pay peace people person phone photo pick piece pink pity place plain plan plane planet plant plate play
player plus poem poet point police poor pop population post pot potato pour power prepare president press pretty
price pride prime private prize problem process product program project proof proper prove public pull pure purple
purpose push put quality queen question quick quiet race radio rain raise ran rare rate reach read ready real reason
receive record red refer remain remember remove repeat reply report rest result return rice rich ride ring rise
river road rock role roll roof room root rose rough round row rule run sad safe salad salt sand sang sat sauce save
saw scene school science score sea season seat secret seed seek seem self sell send sense sent serious serve service
set sex shake shape share sharp sheet shine ship shirt shock shoe shook shoot shop short shot show shut sick side
sign silence silent silver similar simple sing single sister sit site size skill skin sky sleep slept slip slow
small smart smell smile smoke smooth snow social society soft soil sold soldier solid solve son song sorry sort
sought soul sound soup south space speak special speech speed spend spent spirit spoke sport spot spread spring
square staff stage stand star start state station stay steel step stick stock stomach stone stood stop store storm
story strange stranger stream street strength stress strike strong stuck student study stuff style subject success
sugar suggest suit summer sun super surprise swam sweet system table tail take tale talk tall task taste taught tax
tea teach teacher team tear tell tells ten tend term terrible test text thank theory thick thin think thinks thought
thousand threw throw tie time times tip title told tone tongue took tool tooth top topic total touch tough tour town
trade tradition train travel treat tree trick trip trouble truck true trust truth try turn type ugly uncle
understand understood unique unit use value view village visit voice wait wake walk wall want wants war warm warn
wash waste watch water wave weak wealth wear weather week weekend weight west wet white wide wife wild win wind
window wine wing winner winter wise wish woke woman women wonder wonderful wood wooden word words wore work worker
world worry worse worst worth wound write wrote yard year years yellow young youth
"""
_ORDINARY = _FREQUENT | frozenset(_ORDINARY_WORDS.split())

# Ordinary words that names and titles are often made of.
_NAME_PART_WORDS = """
a act air all america american and are art as at bank bay bill black blue board book brown business by can capital
cardinal care center chief children church city class club co college committee common company constitution corn
council court day de dean department di director division do dream east energy english executive family far federal
field fine first for force foreign foundation free french friends fund future game garden general german global god
gold good grand great green group health heart high history home hospital house how human i ii iii image in industry
institute insurance international is island its journal judge justice king la lake law league left life light long
love magic major man market may me medical men million mind money moon mr music my national nature new news night no
north not of office oil old on one or our paper park party peace people plan police post power president prime
program project public queen question rain real red research river road rock rose royal school science sea second
secretary see senate senior service six small snow social society song south space speaker special spirit sports
spring square star state states station stock stone store street summer sun super supreme system table tax tech test
the three time times to today top town trade travel treasury two union united university up us valley van vice
vision wall war was water we week weekend west what white who wild will wonderful world year you young your
"""
_NAME_PARTS = frozenset(_NAME_PART_WORDS.split())


def is_ordinary(kind: str) -> bool:
    """Whether a lower-cased word is one that running prose writes in lower case: listed, or of a telling ending."""
    return kind in _ORDINARY or (len(kind) > 5 and kind.isalpha() and kind.endswith(_ENDINGS))


def is_name_part(kind: str) -> bool:
    """Whether a word is often capitalised inside a sentence too: in names, and nearly any frequent one in titles."""
    return kind in _FREQUENT or kind in _NAME_PARTS
