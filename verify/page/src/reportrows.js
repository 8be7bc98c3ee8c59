// What stands in the columns of each table of data.

import { word } from "./words.js";
import { ReportRow, WITHHELD } from "./reportrow.js";
import { jsonText } from "./reporttext.js";

/** The number under which an event's first attribute's value is sealed. */
const SEAL_ATTRIBUTE = 1500;

/** Words of the sections of a report, by their number. */
const SECTION_WORDS = ["", "first-hand", "second-hand", "backfill", "late", "unmapped"];

/** The word of a section. */
export function sectionWord(section) {
  return SECTION_WORDS[section] ?? "";
}

/** A word of an enum field of a message that may be absent. */
function wordOf(enumName, n) {
  return word(enumName, n ?? 0);
}

/** The row of an access. */
export function accessRow(table, offsets, answer) {
  const row = new ReportRow(table, offsets);
  const { head, place } = answer.Entry, event = answer.Event;
  row.integer("index", place.index);
  row.time("logged", head.log_time_ns);
  row.time("occurred", event.occurred_at_ns);
  row.text("verdict", wordOf("Verdict", place.verdict));
  row.text("section", sectionWord(answer.Section));
  row.text("provenance", wordOf("Provenance", head.provenance));
  row.flag("late", place.late);
  row.text("source", place.source);
  row.text("target", place.target);
  row.text("side", wordOf("Side", place.side));
  rowEndpoints(row, event.source, event.target);
  rowActor(row, event.actor);
  rowAction(row, event);
  rowAuthorization(row, event.authorization);
  rowGrounds(row, answer.Grounds, wordOf("Verdict", place.verdict));
  rowDetails(row, event);
  rowAttributes(row, event);
  rowPlace(row, answer);
  rowSeals(row, event);
  return row;
}

function rowEndpoints(row, source, target) {
  row.text("source_name", source?.domain);
  row.text("source_address", source?.address);
  row.text("source_service", source?.service);
  row.text("source_proof", wordOf("SourceProof", source?.proof));
  row.text("target_name", target?.domain);
  row.text("target_service", target?.service);
  row.text("resource", target?.resource);
  row.text("resource_type", target?.type);
  row.text("classification", target?.classification);
}

function rowActor(row, actor) {
  row.text("actor", actor?.id);
  row.text("actor_type", wordOf("ActorType", actor?.type));
  row.text("authentication", actor?.authentication);
  row.text("credential_key", actor?.credential?.key_id);
  row.hex("credential_hmac_sha256", actor?.credential?.hmac_sha256);
  row.text("login_session", actor?.login_session);
  const chain = (actor?.delegation ?? []).map((d) => {
    const type = wordOf("ActorType", d.type);
    return type === "" ? d.id : `${d.id} (${type})`;
  });
  row.text("on_behalf_of", chain.join(", "));
}

function rowAction(row, event) {
  const { action, outcome } = event;
  row.text("action", wordOf("ActionClass", action?.class));
  row.text("operation", action?.operation);
  row.text("protocol", action?.protocol);
  if (action?.read_only !== undefined && action?.read_only !== null) row.flag("read_only", action.read_only);
  row.text("decision", wordOf("Decision", event.decision));
  row.text("outcome", wordOf("OutcomeResult", outcome?.result));
  row.text("outcome_code", outcome?.code);
  row.text("outcome_reason", outcome?.reason);
}

function rowAuthorization(row, a) {
  row.text("policy", a?.policy_id);
  row.text("policy_version", a?.policy_version);
  row.text("rule", a?.rule);
  row.text("grant", a?.grant_id);
  row.text("stated_approver", a?.approver);
  row.text("ticket", a?.ticket);
  row.text("purpose", a?.purpose);
  row.flag("break_glass", a?.break_glass ?? false);
}

/** What the verdict rests on. */
function rowGrounds(row, grounds, verdict) {
  const flow = grounds?.Flow, approval = grounds?.Approval;
  if (flow) {
    row.text("flow", flow.id);
    row.text("flow_purpose", flow.purpose);
    row.text("flow_approver", flow.approver);
    row.text("flow_least_proof", wordOf("SourceProof", flow.least_proof));
  }
  if (!approval) return;
  row.text("approval", approval.Body.id);
  row.integer("approval_index", approval.Index);
  row.text("approved_by", approval.Body.approver);
  row.time("approved", approval.LogTimeNS);
  if (approval.Revoked && verdict === "revoked") {
    row.text("revoked_by", approval.Revoked.revoker);
    row.time("revoked", approval.RevokedNS);
  }
}

function rowDetails(row, event) {
  const { clock, original } = event;
  row.bytes("correlation_id", event.correlation_id);
  row.bytes("event_id", event.event_id);
  row.bytes("corrects", event.corrects);
  row.text("retention_class", event.retention_class);
  row.nonzero("clock_uncertainty_ns", clock?.uncertainty_ns);
  row.text("clock_text", clock?.original_text);
  row.text("clock_source", clock?.source);
  row.nonzero("clock_offset_ns", clock?.offset_ns);
  row.hex("original_sha256", original?.sha256);
  row.hex("original_file_sha256", original?.file_sha256);
  row.nonzero("original_record", original?.record);
  row.text("original_mapping", original?.mapping);
}

/** Attributes: key=value in text, a semicolon and a space between two; an object in JSON. */
function rowAttributes(row, event) {
  if (event.attributes.length === 0) return;
  const sealed = new Set(event.sealed.map((s) => s.field));
  const texts = [], fields = [];
  event.attributes.forEach((a, i) => {
    const off = sealed.has(SEAL_ATTRIBUTE + i);
    texts.push(`${a.key}=${off ? WITHHELD : a.value}`);
    fields.push(`${jsonText(a.key)}:${off ? "null" : jsonText(a.value)}`);
  });
  row.json("attributes", texts.join("; "), `{${fields.join(",")}}`);
}

/** How the ledger took the access. */
function rowPlace(row, answer) {
  const { head, place } = answer.Entry;
  row.text("producer", head.producer);
  row.hex("producer_key_sha256", head.key_fingerprint);
  row.hex("run", head.run);
  row.integer("number", place.number);
  row.integer("epoch", head.epoch);
  row.nonzero("map_index", head.map_index);
  row.integer("rules_version", head.rules_version);
  row.integer("position", place.position);
  row.hex("leaf_sha256", answer.Leaf);
}

/** Marks what the producer sealed, and lists it. */
function rowSeals(row, event) {
  const all = [];
  for (const { field } of event.sealed) {
    const columns = row.table.columns.filter((c) => c.field && (c.field === field || (field < 100 && Math.floor(c.field / 100) === field)));
    for (const c of columns) row.withhold(c.name);
    const attribute = event.attributes[field - SEAL_ATTRIBUTE];
    if (attribute !== undefined) all.push(`attribute ${attribute.key}`);
    else all.push(columns.length === 0 ? `field ${field}` : columns.map((c) => c.name).join(", "));
  }
  if (all.length > 0) row.json("withheld", all.join(", "), `[${all.map(jsonText).join(",")}]`);
}

/** A time that is 0 where there is none. */
function timeUnlessZero(row, name, ns) {
  if (ns !== 0n) row.time(name, ns);
}

/** The row of an alert. */
export function alertRow(table, offsets, { Entry, Alert }) {
  const row = new ReportRow(table, offsets);
  row.integer("index", Entry.place.index);
  row.time("logged", Entry.head.log_time_ns);
  row.text("type", wordOf("AlertType", Alert.type));
  row.text("subject", Alert.subject);
  row.text("source", Alert.source);
  row.text("target", Alert.target);
  timeUnlessZero(row, "period_start", Alert.period_start_ns);
  timeUnlessZero(row, "period_end", Alert.period_end_ns);
  row.text("detail", Alert.detail);
  row.text("rests_on", Alert.entries.map((stored) => String(BigInt.asUintN(64, stored - 1n))).join(", "));
  row.integer("detector_version", Alert.detector_version);
  row.text("producer", Alert.producer);
  row.hex("alert_id", Alert.id);
  return row;
}

/** The row of an approval, with its revocation. */
export function approvalRow(table, offsets, approved) {
  const row = new ReportRow(table, offsets);
  const body = approved.Body, revoked = approved.Revoked;
  row.integer("index", approved.Index);
  row.time("logged", approved.LogTimeNS);
  row.text("approval", body.id);
  row.text("subject", wordOf("ApprovalSubject", body.subject));
  row.text("name", body.name);
  row.text("from", body.from);
  row.text("to", body.to);
  row.text("purpose", body.purpose);
  timeUnlessZero(row, "not_before", body.not_before_ns);
  timeUnlessZero(row, "not_after", body.not_after_ns);
  row.text("ticket", body.ticket);
  row.text("approved_by", body.approver);
  row.text("authentication", body.authentication);
  row.text("requested_by", body.requester);
  row.hex("document_sha256", body.sha256);
  if (!revoked) return row;
  row.integer("revocation_index", approved.Revocation - 1n);
  row.time("revoked", approved.RevokedNS);
  row.text("revoked_by", revoked.revoker);
  row.text("revocation_authentication", revoked.authentication);
  row.text("revocation_reason", revoked.reason);
  row.text("revocation_ticket", revoked.ticket);
  return row;
}

/** The row of a close. */
export function closeRow(table, offsets, { Entry, Close, Leaf }) {
  const row = new ReportRow(table, offsets);
  row.integer("index", Entry.place.index);
  row.time("logged", Entry.head.log_time_ns);
  row.time("period_start", Close.period_start_ns);
  row.time("period_end", Close.period_end_ns);
  row.integer("first", Close.previous_cut);
  row.integer("cut", Close.cut);
  row.integer("entries", BigInt.asUintN(64, Close.cut - Close.previous_cut));
  row.integer("streams", Close.streams?.rows ?? 0n);
  row.integer("runs", Close.runs?.rows ?? 0n);
  row.hex("root", Close.root);
  row.hex("streams_root", Close.streams?.root);
  row.hex("runs_root", Close.runs?.root);
  row.hex("leaf_sha256", Leaf);
  return row;
}

/** The row of a run. */
export function runRow(table, run) {
  const row = new ReportRow(table, []);
  const opened = run.Opened;
  row.text("producer", run.Producer);
  row.hex("run", run.Run);
  row.text("provenance", wordOf("Provenance", opened?.provenance));
  row.text("software", opened?.software);
  row.text("import_file", opened?.import?.file_name);
  row.hex("import_sha256", opened?.import?.file_sha256);
  row.text("import_mapping", opened?.import?.mapping);
  row.integer("accesses", run.Answers);
  row.nonzero("first_number", run.First);
  row.nonzero("last_number", run.Last);
  row.nonzero("signed_number", run.Signed);
  row.nonzero("declined", run.Declined);
  row.nonzero("gap_entries", run.Gaps);
  row.nonzero("lost_numbers", run.Lost);
  row.flag("ended", run.Ended);
  row.flag("complete", run.Proved);
  row.text("reason", run.Reason);
  return row;
}
