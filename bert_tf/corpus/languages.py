"""Checks and converts language codes: those of the Wikipedias, which are mostly ISO 639 codes."""

_CODES = """
aa ab ace ady af ak als alt am ami an ang anp ar arc ary arz as ast atj av avk awa ay az azb ba
ban bar bat-smg bcl be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bpy br bs btm bug bxr ca
cbk-zam cdo ce ceb ch cho chr chy ckb co cr crh cs csb cu cv cy da dag de dga din diq dsb dtp dty
dv dz ee el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fon fr frp frr fur fy ga gag gan gcr
gd gl glk gn gom gor got gpe gsw gu guc gur guw gv ha hak haw he hi hif ho hr hsb ht hu hy hyw hz
ia id ie ig igl ii ik ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kcg kg kge ki kj kk kl
km kn knc ko koi kr krc ks ksh ku kus kv kw ky la lad lb lbe lez lfn lg li lij lld lmo ln lo lrc
lt ltg lv lzh mad mai map-bms mdf mg mh mhr mi min mk ml mn mni mnw mo mos mr mrj ms mt mus mwl my
myv mzn na nah nan nap nb nds nds-nl ne new ng nia nl nn no nov nqo nr nrm nso nup nv ny oc olo om
or os pa pag pam pap pcd pcm pdc pfl pi pih pl pms pnb pnt ps pt pwn qu rm rmy rn ro roa-rup
roa-tara rsk ru rue rup rw sa sah sat sc scn sco sd se sg sgs sh shi shn si simple sk skr sl sm
smn sn so sq sr srn ss st stq su sv sw syl szl szy ta tay tcy tdd te tet tg th ti tig tk tl tly tn
to tpi tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo vro wa war wo wuu xal xh
xmf yi yo yue za zea zgh zh zh-classical zh-min-nan zh-yue zu
"""
LANGUAGES = frozenset(_CODES.split())

# A dump's header has the standard code (BCP 47), even if the Wikipedia uses another.
_STANDARD_CODES = """
gsw=als sgs=bat-smg be-tarask=be-x-old bho=bh cbk=cbk-zam egl=eml vro=fiu-vro ike=iu
jv-x-bms=map-bms ro-cyrl-md=mo nb=no nrf=nrm rup=roa-rup nap-x-tara=roa-tara en-simple=simple
lzh=zh-classical nan=zh-min-nan yue=zh-yue
"""
_BY_STANDARD_CODE = dict(pair.split("=") for pair in _STANDARD_CODES.split())


def wikipedia_code(code: str) -> str:
    """Converts a language code of a dump's header to a code in the list, or to lower case.

    nds-NL -> nds-nl; egl -> eml; crh-Latn -> crh. Synonyms in the list (gsw, als) are kept.
    """
    code = code.strip().lower()
    if code in LANGUAGES:
        return code
    language, _, rest = code.partition("-")
    if code not in _BY_STANDARD_CODE and len(rest) == len("latn"):
        code = wikipedia_code(language)
    return _BY_STANDARD_CODE.get(code, code)


def is_same_language(given: str, dump_language: str) -> bool:
    """Returns whether a given language may be that of a dump's header, such as be-tarask."""
    one, other = wikipedia_code(given), wikipedia_code(dump_language)
    if _BY_STANDARD_CODE.get(one, one) == _BY_STANDARD_CODE.get(other, other):
        return True
    if one == "simple":  # The header of its dump says English.
        one = "en"
    first = one.partition("-")[0]
    # The prefix of roa-rup and roa-tara is not a language.
    return first in LANGUAGES and first == other.partition("-")[0]


def check_language(language: str, where: str) -> str:
    """Returns the code of a language's Wikipedia, or raises a ValueError if there is none.

    `where` names the flag or file in the message.
    """
    code = wikipedia_code(language)
    if code not in LANGUAGES:
        known = ", ".join(sorted(LANGUAGES))
        raise ValueError(f"{where}: language {language!r} is not known. Known: {known}.")
    return code
