//! Every statement of both standards that the codec answers for, each named by the assertions that check it.
//!
//! The modules are the chapters. Which statements there are is in the crate `conformance`, and so is what fails this
//! test beside an assertion that does not hold: a statement that nothing checked, or one way only.
#![cfg(feature = "bytes")]

#[path = "../common/mod.rs"]
mod common;

mod acks;
mod check;
mod codes;
mod connack;
mod connect;
mod fixed_header;
mod integers;
mod properties;
mod publish;
mod samples;
mod strings;
mod subscribe;
mod topics;

use conformance::{Layer, Run};

#[test]
fn every_statement_of_the_codec_holds() {
    let mut run = Run::new("mqtt-proto", &[Layer::Codec]);
    let sees = "the decoder knows whose packets it reads and refuses what that side may not send";
    run.borrow("v5 MQTT-3.3.4-6", sees);
    run.borrow("v5 MQTT-3.14.2-2", sees);
    run.borrow("v5 MQTT-3.1.0-1", "a decoder that awaits CONNECT takes nothing else");
    run.borrow("v3.1.1 MQTT-3.1.0-1", "a decoder that awaits CONNECT takes nothing else");

    run.test(strings::text_in_every_field);
    run.test(strings::byte_order_marks);
    run.test(integers::variable_byte_integers);
    run.test(integers::remaining_lengths);
    run.test(integers::packet_identifiers);
    run.test(fixed_header::flags_of_every_packet);
    run.test(fixed_header::flags_of_publish);
    run.test(fixed_header::first_packets);
    run.test(properties::every_property_of_every_list);
    run.test(properties::properties_where_they_do_not_belong);
    run.test(properties::unknown_identifiers);
    run.test(properties::empty_lists);
    run.test(properties::data_without_a_method);
    run.test(properties::several_subscription_identifiers);
    run.test(properties::defaults);
    run.test(connect::golden_bytes);
    run.test(connect::protocol_names);
    run.test(connect::all_connect_flags);
    run.test(connect::payloads_cut_anywhere);
    run.test(connect::payloads_with_more_than_the_flags_say);
    run.test(connect::passwords_alone);
    run.test(connect::client_identifiers);
    run.test(connect::will_payloads_flagged_as_text);
    run.test(connack::acknowledge_flags);
    run.test(connack::sessions_in_refusals);
    run.test(publish::golden_bytes);
    run.test(publish::topics_cut_anywhere);
    run.test(publish::packet_identifiers);
    run.test(acks::short_forms);
    run.test(acks::short_farewells);
    run.test(codes::reason_codes);
    run.test(codes::return_codes);
    run.test(subscribe::no_filter);
    run.test(subscribe::all_options);
    run.test(subscribe::no_local_of_a_share);
    run.test(subscribe::filters_cut_anywhere);
    run.test(topics::names_and_filters);
    run.test(topics::lengths);
    run.test(topics::shares);
    run.finish();
}
