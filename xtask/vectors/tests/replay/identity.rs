//! PROTOCOL 2.

use hushwire_core::{
    crypto::{P256 as _, Software},
    fingerprint::SafetyNumber,
    identity::{Address, IdentityKeys as _, IdentityPublic, SoftwareIdentity},
};

use crate::support::{read, same};

#[test]
fn seeds_grow_these_identities() {
    for vector in read("identity.json").list("identities") {
        let mut grown = SoftwareIdentity::from_seed(&mut Software, &vector.array("seed")).unwrap();
        let public = *grown.public();
        same("IKs", public.signing().bytes(), &vector.bytes("IKs"));
        same("IKd", public.agreement().bytes(), &vector.bytes("IKd"));
        same("address", &public.address().0, &vector.bytes("address"));
        assert_eq!(public.address().to_string(), vector.text("address_text"));
        assert_eq!(vector.text("address_text").parse(), Ok(public.address()));

        // The scalars are the ones behind the points, and each point has both forms.
        for name in ["IKs", "IKd"] {
            let pair = vector.pair(&format!("{name}_scalar"));
            assert_eq!(*pair.public(), vector.point(name));
            let long = vector.array(&format!("{name}_uncompressed"));
            assert_eq!(Software.expand(pair.public()), Ok(long));
            assert_eq!(Software.compress(&long), Ok(*pair.public()));
        }
        let pair = vector.pair("IKd_scalar");
        let agreed = grown.agree(&mut Software, public.signing()).is_ok();
        assert!(agreed && pair.public() == public.agreement());
    }
}

#[test]
fn both_sides_see_this_safety_number() {
    let file = read("identity.json");
    let [alice, bob] = &file.list("identities")[..] else {
        panic!("two identities")
    };
    let of = |v: &crate::support::Vector<'_>| IdentityPublic::new(v.point("IKs"), v.point("IKd"));
    let (alice, bob) = (of(alice).unwrap(), of(bob).unwrap());
    for number in [
        SafetyNumber::new(&alice, &bob),
        SafetyNumber::new(&bob, &alice),
    ] {
        assert_eq!(number.to_string(), file.at("safety").text("number"));
        let mut qr = String::new();
        number.write_qr(&mut qr).unwrap();
        assert_eq!(qr, file.at("safety").text("qr"));
    }
}

#[test]
fn what_is_no_address_is_refused() {
    let file = read("identity.json");
    let text = file.list("identities")[0].text("address_text").to_owned();
    assert!(text.to_uppercase().parse::<Address>().is_ok());
    let cases = file.list("refused_addresses");
    for case in cases.iter().filter(|case| case.text("why") != LONGER) {
        let parsed = case.text("text").parse::<Address>();
        assert!(parsed.is_err(), "{}", case.text("why"));
    }
}

const LONGER: &str = "one value more";

#[test]
fn a_longer_text_with_a_right_check_sum_is_refused() {
    let file = read("identity.json");
    let cases = file.list("refused_addresses");
    let case = cases
        .iter()
        .find(|case| case.text("why") == LONGER)
        .unwrap();
    assert!(case.text("text").parse::<Address>().is_err());
}
