//! The project's own lists, and `docs/CONFORMANCE.md` made of them and of every package's evidence.

use conformance::{Lists, check_document};

#[test]
fn the_document_is_up_to_date_and_no_finished_layer_has_a_gap() {
    check_document().unwrap_or_else(|wrong| panic!("{wrong}"));
}

#[test]
fn the_lists_are_whole() {
    let lists = Lists::project();
    let count =
        |prefix: &str| lists.statements().iter().filter(|one| one.name.starts_with(prefix)).count();
    assert_eq!(count("v5 MQTT-"), 251);
    assert_eq!(count("v3.1.1 MQTT-"), 141);
    assert_eq!(count("v5 U5-"), 93);
    assert_eq!(lists.statements().len(), 251 + 141 + 93);
}
