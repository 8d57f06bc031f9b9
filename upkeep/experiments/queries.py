"""The SQL that joins captured requests with labels; DuckDB runs it on the files of one experiment."""

from __future__ import annotations

LABELS = """
CREATE TABLE labels AS
SELECT id, label, seen,
       regexp_extract(id, '^(.*)#([1-9][0-9]{0,5})$', 1) AS request,
       try_cast(regexp_extract(id, '^(.*)#([1-9][0-9]{0,5})$', 2) AS INTEGER) AS place
FROM (
    SELECT id, arg_max(label, number) AS label, arg_max(seen, number) AS seen
    FROM (
        SELECT *, row_number() OVER () AS number
        FROM read_json(?, format = 'newline_delimited',
                       columns = {id: 'VARCHAR', label: 'VARCHAR', seen: 'DOUBLE'})
    )
    GROUP BY id
)
"""

CAPTURES = """
CREATE TABLE captures (
    event VARCHAR, id VARCHAR, asked DOUBLE, treated BOOLEAN,
    data VARCHAR, encoding VARCHAR, kind VARCHAR
)
"""

# A body has 6 MB at most on either side, and base64 makes a third more of it.
LINES = """
CREATE TABLE lines AS
SELECT c.eventMetadata.eventId AS event, c.eventMetadata.inferenceId AS id,
       epoch(try_cast(c.eventMetadata.inferenceTime AS TIMESTAMPTZ)) AS asked,
       f.treated,
       c.captureData.endpointOutput.data AS data,
       c.captureData.endpointOutput.encoding AS encoding,
       c.captureData.endpointOutput.observedContentType AS kind
FROM read_json(?, format = 'newline_delimited', ignore_errors = true, filename = true,
               maximum_object_size = 33554432,
               columns = {
                   captureData: 'STRUCT(endpointOutput STRUCT(
                       observedContentType VARCHAR, data VARCHAR, "encoding" VARCHAR))',
                   eventMetadata: 'STRUCT(eventId VARCHAR, inferenceId VARCHAR, inferenceTime VARCHAR)'
               }) c
JOIN read_json(?, format = 'newline_delimited',
               columns = {path: 'VARCHAR', treated: 'BOOLEAN'}) f
ON c.filename = f.path
"""

# A file may have been read twice, and an event is one request.
EVENTS = """
INSERT INTO captures
SELECT event, nullif(trim(any_value(id)), ''), any_value(asked), any_value(treated),
       any_value(data), any_value(encoding), any_value(kind)
FROM lines WHERE event IS NOT NULL AND asked IS NOT NULL GROUP BY event
"""

UNREADABLE = "SELECT count(*) FROM lines WHERE event IS NULL OR asked IS NULL"

SPANS = "CREATE TABLE spans (number INTEGER, since DOUBLE, until DOUBLE)"

COUNTED = """
CREATE TABLE counted AS
SELECT c.*, s.number AS span FROM captures c JOIN spans s
ON c.asked >= s.since AND (s.until IS NULL OR c.asked <= s.until)
"""

BETWEEN = """
SELECT count(*) FROM captures
WHERE asked > ? AND (? IS NULL OR asked < ?) AND event NOT IN (SELECT event FROM counted)
"""

SHARES = "SELECT span, treated, count(*) FROM counted GROUP BY ALL"

WITHOUT_ID = "SELECT count(*) FROM counted WHERE id IS NULL"

REPEATED = """
CREATE TABLE repeated AS
SELECT id FROM captures WHERE id IS NOT NULL GROUP BY id HAVING count(*) > 1
"""

ASKED = """
CREATE TABLE asked AS
SELECT * FROM counted WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM repeated)
"""

# An id that ends in `#2` may be a request's own: what stands in the capture counts first.
MATCHED = """
CREATE TABLE matched AS
SELECT l.label, l.seen, a.event, NULL AS place FROM labels l JOIN asked a ON a.id = l.id
UNION ALL
SELECT l.label, l.seen, a.event, l.place FROM labels l JOIN asked a ON a.id = l.request
WHERE l.place IS NOT NULL AND l.id NOT IN (SELECT id FROM asked)
"""

OUTCOMES = """
SELECT a.event, a.asked, max(m.seen), a.treated, a.span,
       any_value(a.data), any_value(a.encoding), any_value(a.kind),
       list({place: m.place, label: m.label})
FROM asked a JOIN matched m USING (event)
GROUP BY a.event, a.asked, a.treated, a.span
"""
