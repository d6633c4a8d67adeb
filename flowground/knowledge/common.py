"""Words that questions are made of and that say nothing of what is asked for, in the languages of Europe that have most
readers; what is common in a text besides, its index knows."""

_WORDS = """
a about all also am an and any are as at be been being but by can could did do does doing for from get had has have
how i if in into is it its just many may me might much must my no not of on one or our out shall should so some
somebody someone something than that the their them then there these they this those to up us was we were what when
where whether which while who whom whose why will with would you your
aber als am an auch auf aus bei bin bis da das dass dem den denn der des die doch du durch ein eine einem einen einer
eines er es fuer fur gibt habe haben hat ich ihm ihn ihr im in ist ja kann kannst koennen konnen man mein meine mich
mir mit muss nach nicht noch nun nur ob oder ohne sehr sein seine sich sie sind so soll ueber uber um und uns unser
unter vom von vor wann warum was weil welche welchem welchen welcher welches wem wen wenn wer werden wie wieviel
wir wird wo wurde zu zum zur
au aux avec ce ces cette comment dans de des donc du elle en est et etre eu il ils je la le les leur lui ma mais me
mes moi mon ne nos notre nous ont ou par pas peut pour pourquoi quand que quel quelle quelles quels qui quoi sa sans
se ses son sont sur ta te tes toi ton tu un une vos votre vous y
al como con cual cuales cuando cuanto de del desde donde el ella ellos en entre es esta este esto hay la las lo los
mas mi mis muy no nos para pero por porque puede puedo que quien se ser si sin sobre son su sus tiene un una uno y ya
ao aos com da das do dos e em eu foi isso isto mais mas meu minha na nas nao nem no nos num o onde ou pela pelo qual
quais quando quem sao se sem seu sua tem um uma voce
che chi ci come con cosa cui da dal dalla dei del della delle di dove e gli ho il io la le lo ma mi nel nella non o
per perche piu puo quale quali quando quanto questa questo sono sua suo tra tu una uno
aan als bij dan dat de deze die dit door een en er geen haar heb heeft het hij hoe hoeveel ik in is je kan mag maar
met mijn moet naar niet nog of om onze ook op over te tot uit van voor waar waarom wanneer wat welk welke wie wij
wordt ze zijn zo
"""
"""English, German, French, Spanish and Portuguese, Italian and Dutch, in this order."""
COMMON = frozenset(_WORDS.split())
"""As the index writes them: small, without accents."""
_WEAK_WORDS = """
able actually after again against allow allows almost alone along already although always among another anybody anyone
anything anyway anywhere apart appear around aside ask asked asking asks away became because become becomes before begin
behind being believe below beside besides best better between beyond both bring came cause certain certainly change
changes clearly come comes consider contain containing contains course currently describe described despite different
difference doing done down during each either else elsewhere enough entirely especially even ever every everybody
everyone everything everywhere exactly example except far few find first followed following follows former further gave
get gets getting give given gives go goes going gone got happen happens hardly hello help hence here himself hold
however instead itself keep keeps kept kind know known knows last lately later least less let like liked likely little
long longer look looking looks made mainly make makes making many matter maybe mean means meant meanwhile merely more
moreover most mostly myself name namely near nearly necessary need needed needs neither never nevertheless new next
nobody none nothing now nowhere obviously off often ok okay old once ones only onto other others otherwise ourselves
outside over overall own part particular particularly per perhaps place please possible probably provide provides put
quite rather really reasonably regarding regards relatively respectively right said same saw say saying says second see
seeing seem seemed seems seen several show since sometimes soon still such sure take taken takes taking tell tends thank
thanks therefore thing things think through throughout thus together too took toward towards tried tries truly try
trying turn twice two three under unless unlike unlikely until upon use used useful uses using usually various very via
want wants way ways well went whatever whenever wherever whether willing wish within without wonder work works yes yet
yourself
"""
"""English words of every subject, much as in the list of the SMART system."""
WEAK = frozenset(_WEAK_WORDS.split()) - COMMON
