//! Which four bytes of a keyword are seen least in prose and code.

use super::GRAM;

/// Of each kind of byte, which of them stands after it how seldom: four times the negative binary logarithm, from `0`
/// on. Counted in sources and documentation of published crates.
const AFTER: [&[u8; KINDS]; KINDS] = [
    b"VEBAVKFVE]L=C=dC^=>:HKLMHXNCUPWSYRSgMOZ",
    b"ARJS=QV^?IW=S[?TfEFM=Xbg@_I9ZPVBOOIdFMU",
    b">SIP?FX>EcBBNU9PW?G=FVRVNaLFXCROPHM[GNP",
    b"AQQD8OLT?ZUFRT@O]GDOHQSUKcI:GBOHRCH_BFP",
    b"CMC@JHMWP]VBE?SII;>@VKKEK^P;KFPJTDK]CHQ",
    b"AWNK?AE_<gaEI?;Rk@GIE]YbNiG=NIQDYGN]DDX",
    b"HUPS9VJD>mWHMBEV[CCIE[V^S[Q;JCOFGDGW?CN",
    b";SVN7W[\\>cTTIU@TbEJ?BbVaMYP?OEUOSKMZGMW",
    b"EI@BEDEbUbPCA8>IZG?<]FfJkCLO^NUUWPUlQVZ",
    b"CSJU6TUS>YJYXW<OYU:P?TAYVUMK]IUOOSQdJPU",
    b"HQIL6MRS=`XOPHMPZNAJLQO[U]M?PBPIPBJd?FC",
    b"@SRC9@PZ<gT>VS=NfSECCRRfDdNAOEROJKIbFMQ",
    b":FRK9WP\\@e[GFSA=[TEI>UZgO`OCSCQMDIHcGLU",
    b"CWB=>I=YEaIJSIAKaS><GKLcK\\N<NIPLTIK`ELP",
    b"OLBCQCL\\HSFD?9GCj:ECAHCPYcZASHPSNMR_NSX",
    b"<UKN;RTIDeN?WX@DZ=B@:SV\\HjOHXGVOXJPlENX",
    b"SWGKQQSWT\\XMSSUVSLMT4YO^ZVMERFVISHI^BA8",
    b"=UHG9OFX?jLOGE>PfCABCLTXF]T?OHSKSEK_CHQ",
    b"GVHT:UUE@dNKOPEF\\OC:CTU^FXO;JDPFHALaEIP",
    b"AWIJ<OX<>i]LQY@Gh?EEEWSSCXR;MDNJTHL\\CGN",
    b"I<DKAHGfDgc?C>PCi>;<]\\eQhV?M^V]]bWWjT[\\",
    b"9YRT4RLZ=hZRMYCO\\TMS[]YP[ZDIZITMPIPdFMT",
    b">YQS?SW=9[RKQC@Ua=>M\\ZOXW`SASFVLUJOZ?NT",
    b"APEG?HZND_\\TMVS=^XN<MWSNMc:?OBJFJCH]AFM",
    b"HNOSHMUTJb[HJBC:\\J>@WRP]ZVP9H@NFNDGYACO",
    b"BUPN2QVWE]WOQRDVXOBYOTSYJGNLYHVUSOJ[GRQ",
    b"NMONOO^[RcZ_V\\^Z_ZXZN\\_C`c4@GFGARIHh><O",
    b"DHDIIEQLEXTIIKGGZHDBHMIYTWF4bNMSIPFFBgF",
    b"NUOUSL^WIbeRPTT@dROKGWLi]`U4<gEf>VK\\Bo?",
    b"BCADACJJAQEBCFDAUC=?@FHWTTFNb@kaoT[oKOT",
    b"GFFIHJMPIWVDKMKHUCEHKMLY[T=:Pj8eo^SW;NO",
    b"CK>EGIHHARQGGLHEZCCEENJVSX;>:]gCQjPVJUO",
    b"NLHJOPDRLUWKMRSF]FIHQTQ[`ZF:Bid^4oSdSgA",
    b"KJ@JHDPNHYXIKFLG_IEHMOJ]]VP8JWadC6]jFoL",
    b"BGEGIGOIGROKIKLHXD@EJLHQUPH;ALPEOM?\\<?C",
    b"^V[W^QZ^\\ko]VWgZhW[Y___c`gM2JocdaoG>>oW",
    b"JKEGLJWII[SOMNOL]JFGJMTXWVF<9QZFUJAV:=A",
    b"fdcdf[nk^oohW\\iWlg^ZcjhjhoC54kToooPoSgQ",
    b"MKHNMNTSLVSNBJPN[MCJMOSOYZB9CPRTISCN9H9",
];

/// How seldom each kind is seen at all.
const ALONE: &[u8; KINDS] = b"CJEF?HJHCYNEHCCFVBBAEMMOKSE:EHMKGGIOBHH";

/// Letters without their case; then digits, and what else is common.
const KINDS: usize = 39;

/// The bytes of each kind after the letters. What is in none of them is of the last kind.
const OTHERS: [&[u8]; 12] =
    [b"0123456789", b" ", b"\n", b"_", b"-", b".", b"/", b":", b"\"'`", b"=", b"(){}[]<>,", b";"];

/// Where the four bytes of a keyword stand that are seen least.
pub(super) fn rarest(keyword: &[u8]) -> usize {
    let grams = keyword.windows(GRAM).enumerate();
    grams.max_by_key(|(_, gram)| rarity(gram)).map_or(0, |(at, _)| at)
}

fn rarity(gram: &[u8]) -> u32 {
    let first = gram.first().map_or(0, |byte| of(ALONE, kind(*byte)));
    let pairs = gram.windows(2).map(|pair| match pair {
        [before, byte] => AFTER.get(kind(*before)).map_or(0, |row| of(row, kind(*byte))),
        _ => 0,
    });
    first + pairs.sum::<u32>()
}

fn of(row: &[u8; KINDS], kind: usize) -> u32 {
    row.get(kind).map_or(0, |digit| u32::from(digit.saturating_sub(b'0')))
}

fn kind(byte: u8) -> usize {
    let small = byte.to_ascii_lowercase();
    match small {
        b'a'..=b'z' => usize::from(small - b'a'),
        _ => 26 + OTHERS.iter().position(|kind| kind.contains(&small)).unwrap_or(OTHERS.len()),
    }
}
