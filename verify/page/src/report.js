// The members for people to read, made from what was proven.

/** Stands in for the report. */
export class ReportWriter {
  constructor(head, sink) {
    this.head = head;
    this.sink = sink;
  }

  answer() {}

  alert() {}

  logClose() {}

  finish() {}
}
