-- The operations: all that the API may do in the database.
--
-- The role of the API has no rights on tables. It may only call these functions, each of which takes
-- the owner first, so no statement can forget the owner of the tasks. The functions run with the
-- rights of the owner of the table, and also build the JSON of the answer.
--
-- Rules for this file:
-- * `migrate` runs it in one transaction and may run it again at any time, while servers of this
--   release, the one before and the next one are busy. So use CREATE OR REPLACE only, drop nothing,
--   and never change a signature: what varies is passed in a jsonb. An incompatible change gets a new
--   name, and the old function is removed one release later.
-- * Whoever changes this file raises REVISION in `installation.py`.
-- * An operation is PL/pgSQL, which caches its plans on every version of PostgreSQL. Its search_path
--   is set, and tables are named with their schema, so a name means the same for every caller.
-- * A helper is a single SELECT, so that PostgreSQL can inline it into the operation that uses it.


CREATE OR REPLACE FUNCTION tasks_api.json_of(moment timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT '"' || to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"'
$$;


-- A task as clients see it.
CREATE OR REPLACE FUNCTION tasks_api.json_of(task public.tasks_task) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT '{"id":' || task.id
        || ',"user_id":' || to_json(task.user_id)
        || ',"title":' || to_json(task.title)
        || ',"description":' || coalesce(to_json(task.description)::text, 'null')
        || ',"complete":' || task.complete
        || ',"priority":"' || task.priority
        || coalesce(
            '","due_date":' || coalesce(to_json(task.due_day)::text, tasks_api.json_of(task.due_at)),
            '","due_date":null')
        || CASE WHEN task.tags_folded IS NULL THEN ',"tags":[]' ELSE ',"tags":' || to_json(task.tags) END
        || ',"completed_at":' || coalesce(tasks_api.json_of(task.completed_at), 'null')
        || ',"created_at":' || tasks_api.json_of(task.created_at)
        || ',"updated_at":' || tasks_api.json_of(task.updated_at) || '}'
$$;


-- The values of fields that a POST or a PUT leaves out.
CREATE OR REPLACE FUNCTION tasks_api.defaults() RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT '{"description": null, "complete": false, "priority": "medium", "due_date": null, "tags": []}'::jsonb
$$;


-- Whether a client may set all of these fields, and each has its JSON type. The constraints of the
-- table check the rest.
CREATE OR REPLACE FUNCTION tasks_api.may_set(given jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT given - '{title,description,complete,priority,due_date,tags}'::text[] = '{}'
        AND coalesce(jsonb_typeof(given -> 'title') = 'string', true)
        AND coalesce(jsonb_typeof(given -> 'description') IN ('string', 'null'), true)
        AND coalesce(jsonb_typeof(given -> 'complete') = 'boolean', true)
        AND coalesce(jsonb_typeof(given -> 'priority') = 'string', true)
        AND coalesce(jsonb_typeof(given -> 'due_date') IN ('string', 'null'), true)
        AND coalesce(given ->> 'due_date' LIKE '____-__-__%', true)
        AND coalesce(jsonb_typeof(given -> 'tags') = 'array', true)
        AND coalesce(given -> 'tags' = '[]'
            OR NOT given @? 'strict $.tags[*] ? (@.type() != "string")', true)
$$;


-- A due date of 10 characters is a day, a longer one is a time.
CREATE OR REPLACE FUNCTION tasks_api.day_of(due_date text) RETURNS date
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN length(due_date) = 10 THEN due_date::date END
$$;


CREATE OR REPLACE FUNCTION tasks_api.time_of(due_date text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN length(due_date) > 10 THEN due_date::timestamptz END
$$;


CREATE OR REPLACE FUNCTION tasks_api.texts(list jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY(SELECT jsonb_array_elements_text(list))
$$;


-- The tasks of a plain list, both for its page and for its count.
CREATE OR REPLACE FUNCTION tasks_api.matching(owner text, query jsonb)
RETURNS SETOF public.tasks_task LANGUAGE sql STABLE AS $$
    SELECT * FROM public.tasks_task
    WHERE user_id = owner AND deleted_at IS NULL
        AND (query -> 'complete' IS NULL OR complete = (query -> 'complete')::boolean)
$$;


-- Whether a sort key comes after the one where the page before ended. NULL is last in both directions.
CREATE OR REPLACE FUNCTION tasks_api.is_after(key anyelement, bound anyelement, descending boolean)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT bound IS NOT NULL
        AND (key IS NULL OR CASE WHEN descending THEN key < bound ELSE key > bound END)
$$;


-- The page of any list: the ids of its tasks in their order, one more if there is a next page, the
-- number of all tasks that match, and the sort keys of the last task on the page.
--
-- The statement is planned for the values of each call, which costs less than conditions that are
-- tested for each task but not used. A key is a time or a text: each of the three sort keys has a
-- column for both, of which one is NULL. Due dates and tags are written so that no index of the
-- admin fits, since a user's tasks are few beside all that are due, or have that tag.
CREATE OR REPLACE FUNCTION tasks_api.page_of(
    owner text, query jsonb, OUT ids bigint[], OUT total bigint, OUT last jsonb
) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    page_limit bigint := (query -> 'limit')::bigint;
    page_offset bigint := (query -> 'offset')::bigint;
    is_complete boolean := (query -> 'complete')::boolean;
    priorities text[];
    wanted_tags text[];
    patterns text[];
    is_due boolean := CASE query ->> 'due' WHEN 'any' THEN true WHEN 'none' THEN false END;
    due_after timestamptz := query ->> 'due_after';
    due_before timestamptz := query ->> 'due_before';
    created_after timestamptz := query ->> 'created_after';
    created_before timestamptz := query ->> 'created_before';
    updated_after timestamptz := query ->> 'updated_after';
    updated_before timestamptz := query ->> 'updated_before';
    completed_after timestamptz := query ->> 'completed_after';
    completed_before timestamptz := query ->> 'completed_before';
    sort jsonb := coalesce(query -> 'sort', '["-created_at"]');
    key1 text := ltrim(sort ->> 0, '-');
    key2 text := ltrim(sort ->> 1, '-');
    key3 text := ltrim(sort ->> 2, '-');
    desc1 boolean := starts_with(sort ->> 0, '-');
    desc2 boolean := starts_with(sort ->> 1, '-');
    desc3 boolean := starts_with(sort ->> 2, '-');
    desc_id boolean := starts_with(sort ->> -1, '-');
    is_text1 boolean := key1 IN ('title', 'priority');
    is_text2 boolean := key2 IN ('title', 'priority');
    is_text3 boolean := key3 IN ('title', 'priority');
    last_id bigint := query -> 'after' ->> 0;
    last1 text := query -> 'after' ->> 1;
    last2 text := query -> 'after' ->> 2;
    last3 text := query -> 'after' ->> 3;
    last_time1 timestamptz := CASE WHEN NOT is_text1 THEN last1 END;
    last_time2 timestamptz := CASE WHEN NOT is_text2 THEN last2 END;
    last_time3 timestamptz := CASE WHEN NOT is_text3 THEN last3 END;
    last_text1 text := CASE WHEN is_text1 THEN last1 END;
    last_text2 text := CASE WHEN is_text2 THEN last2 END;
    last_text3 text := CASE WHEN is_text3 THEN last3 END;
BEGIN
    IF jsonb_array_length(sort) NOT BETWEEN 1 AND 3 OR NOT array_remove(ARRAY[key1, key2, key3], NULL)
        <@ '{created_at,updated_at,completed_at,due_date,priority,title}'::text[]
    THEN
        RAISE invalid_parameter_value USING MESSAGE = 'list_tasks: an unknown sort key';
    END IF;
    IF query ? 'priority' THEN
        priorities := tasks_api.texts(query -> 'priority');
    END IF;
    IF query ? 'tag' THEN
        wanted_tags := public.tasks_fold(tasks_api.texts(query -> 'tag'));
    END IF;
    IF query ? 'q' THEN
        patterns := ARRAY(
            SELECT '%' || regexp_replace(public.tasks_casefold(word), '([\\%_])', '\\\1', 'g') || '%'
            FROM jsonb_array_elements_text(query -> 'q') AS word);
    END IF;

    WITH matching AS MATERIALIZED (
        SELECT id,
            CASE key1 WHEN 'created_at' THEN created_at WHEN 'updated_at' THEN updated_at
                WHEN 'completed_at' THEN completed_at WHEN 'due_date' THEN due END AS time1,
            CASE key2 WHEN 'created_at' THEN created_at WHEN 'updated_at' THEN updated_at
                WHEN 'completed_at' THEN completed_at WHEN 'due_date' THEN due END AS time2,
            CASE key3 WHEN 'created_at' THEN created_at WHEN 'updated_at' THEN updated_at
                WHEN 'completed_at' THEN completed_at WHEN 'due_date' THEN due END AS time3,
            CASE key1 WHEN 'title' THEN folded_title WHEN 'priority' THEN rank END AS text1,
            CASE key2 WHEN 'title' THEN folded_title WHEN 'priority' THEN rank END AS text2,
            CASE key3 WHEN 'title' THEN folded_title WHEN 'priority' THEN rank END AS text3
        FROM (
            SELECT *,
                CASE WHEN due_at IS NULL THEN timezone('UTC', due_day::timestamp) ELSE due_at END AS due,
                CASE priority WHEN 'low' THEN '1' WHEN 'medium' THEN '2' ELSE '3' END AS rank,
                coalesce(folded[1], lower(title COLLATE "C")) AS folded_title,
                CASE WHEN folded[1] IS NULL
                    THEN lower((title || E'\n' || coalesce(description, '')) COLLATE "C")
                    ELSE array_to_string(folded, E'\n') END AS folded_text
            FROM public.tasks_task WHERE user_id = owner AND deleted_at IS NULL
        ) AS task
        WHERE (is_complete IS NULL OR complete = is_complete)
            AND (priorities IS NULL OR priority = ANY (priorities))
            AND (wanted_tags IS NULL OR (tags_folded @> wanted_tags) IS TRUE)
            AND (is_due IS NULL OR (due IS NOT NULL) = is_due)
            AND (due_after IS NULL OR due >= due_after)
            AND (due_before IS NULL OR due < due_before)
            AND (created_after IS NULL OR created_at >= created_after)
            AND (created_before IS NULL OR created_at < created_before)
            AND (updated_after IS NULL OR updated_at >= updated_after)
            AND (updated_before IS NULL OR updated_at < updated_before)
            AND (completed_after IS NULL OR completed_at >= completed_after)
            AND (completed_before IS NULL OR completed_at < completed_before)
            -- A word has no white space, so it never begins in the title and ends in the description.
            AND (patterns IS NULL OR folded_text LIKE ALL (patterns))
    ),
    page AS (
        SELECT * FROM matching
        WHERE last_id IS NULL
            OR tasks_api.is_after(time1, last_time1, desc1)
            OR tasks_api.is_after(text1, last_text1, desc1)
            OR (time1, text1) IS NOT DISTINCT FROM (last_time1, last_text1) AND (
                tasks_api.is_after(time2, last_time2, desc2)
                OR tasks_api.is_after(text2, last_text2, desc2)
                OR (time2, text2) IS NOT DISTINCT FROM (last_time2, last_text2) AND (
                    tasks_api.is_after(time3, last_time3, desc3)
                    OR tasks_api.is_after(text3, last_text3, desc3)
                    OR (time3, text3) IS NOT DISTINCT FROM (last_time3, last_text3)
                        AND tasks_api.is_after(id, last_id, desc_id)))
        ORDER BY
            CASE WHEN NOT is_text1 AND desc1 THEN time1 END DESC NULLS LAST,
            CASE WHEN NOT is_text1 AND NOT desc1 THEN time1 END,
            CASE WHEN is_text1 AND desc1 THEN text1 END COLLATE "C" DESC NULLS LAST,
            CASE WHEN is_text1 AND NOT desc1 THEN text1 END COLLATE "C",
            CASE WHEN NOT is_text2 AND desc2 THEN time2 END DESC NULLS LAST,
            CASE WHEN NOT is_text2 AND NOT desc2 THEN time2 END,
            CASE WHEN is_text2 AND desc2 THEN text2 END COLLATE "C" DESC NULLS LAST,
            CASE WHEN is_text2 AND NOT desc2 THEN text2 END COLLATE "C",
            CASE WHEN NOT is_text3 AND desc3 THEN time3 END DESC NULLS LAST,
            CASE WHEN NOT is_text3 AND NOT desc3 THEN time3 END,
            CASE WHEN is_text3 AND desc3 THEN text3 END COLLATE "C" DESC NULLS LAST,
            CASE WHEN is_text3 AND NOT desc3 THEN text3 END COLLATE "C",
            CASE WHEN desc_id THEN id END DESC, CASE WHEN NOT desc_id THEN id END
        LIMIT page_limit + 1 OFFSET page_offset
    ),
    numbered AS (SELECT *, row_number() OVER () AS place FROM page)
    SELECT array_agg(id ORDER BY place), (SELECT count(*) FROM matching), (
        SELECT jsonb_build_array(
            id, coalesce(to_jsonb(time1), to_jsonb(text1)),
            coalesce(to_jsonb(time2), to_jsonb(text2)), coalesce(to_jsonb(time3), to_jsonb(text3)))
        FROM numbered WHERE place = page_limit)
    INTO ids, total, last FROM numbered;
END
$$;


-- query: `limit`, `offset`, and optionally
--   sort       one to three of created_at, updated_at, completed_at, due_date, priority, title; with
--              a - in front for descending
--   after      the last task of the page before: its id and its sort keys
--   complete   a boolean
--   priority   an array: any of them
--   tag        an array: all of them
--   q          an array of words: all of them, in title or description
--   due        "any" or "none"
--   due_after, due_before, created_after, created_before, updated_after, updated_before,
--   completed_after, completed_before: times. `after` includes the time, `before` does not.
--
-- Returns the page as a JSON array, and as `beside` an object: `count`, the number of all tasks that
-- match, and `last`, where the page ended if there is a next one. Servers of the release before send
-- no `sort`, and get no `last`.
CREATE OR REPLACE FUNCTION tasks_api.list_tasks(
    owner text, query jsonb, OUT tasks text, OUT beside jsonb
) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
    page_limit bigint NOT NULL := (query -> 'limit')::bigint;
    page_offset bigint NOT NULL := (query -> 'offset')::bigint;
    filters jsonb := query - '{limit,offset,sort,after}'::text[];
    after_time timestamptz := 'infinity';
    after_id bigint := 0;
    last_time timestamptz;
    last_id bigint;
    last jsonb;
    ids bigint[];
    rows_read bigint;
    total bigint;
BEGIN
    IF filters <> '{}' AND (
        filters - '{complete,priority,tag,q,due,due_after,due_before,created_after,created_before,updated_after,updated_before,completed_after,completed_before}'::text[] <> '{}'
        OR jsonb_typeof(filters -> 'complete') <> 'boolean')
    THEN
        RAISE invalid_parameter_value USING MESSAGE = 'list_tasks: an unknown filter, or of a wrong type';
    END IF;

    IF filters - 'complete' <> '{}' OR query -> 'sort' <> '["-created_at"]' THEN
        SELECT * INTO ids, total, last FROM tasks_api.page_of(whose, query);
        SELECT '[' || coalesce(string_agg(tasks_api.json_of(task), ',' ORDER BY place), '') || ']'
        INTO tasks
        FROM unnest(ids[:page_limit]) WITH ORDINALITY AS page (id, place)
        JOIN public.tasks_task AS task USING (id);
        IF cardinality(ids) <= page_limit THEN
            last := NULL;
        END IF;
    ELSE
        IF query -> 'after' <> 'null' THEN
            after_id := query -> 'after' ->> 0;
            after_time := query -> 'after' ->> 1;
        END IF;
        -- One row more than the page. If there is none, the page is the last one, and the count is
        -- known without counting.
        SELECT count(*),
            '[' || coalesce(string_agg(json, ',') FILTER (WHERE place <= page_limit), '') || ']',
            max(created_at) FILTER (WHERE place = page_limit), max(id) FILTER (WHERE place = page_limit)
        INTO rows_read, tasks, last_time, last_id
        FROM (
            SELECT tasks_api.json_of(task) AS json, id, created_at, row_number() OVER () AS place
            FROM (
                SELECT * FROM tasks_api.matching(whose, filters)
                WHERE (created_at, id) < (after_time, after_id)
                ORDER BY created_at DESC, id DESC LIMIT page_limit + 1 OFFSET page_offset
            ) AS task
        ) AS page;

        IF rows_read > page_limit THEN
            last := jsonb_build_array(last_id, last_time);
        END IF;
        IF rows_read <= page_limit AND (rows_read > 0 OR page_offset = 0) AND after_id = 0 THEN
            total := page_offset + rows_read;
        ELSIF filters = '{}' THEN
            -- With a constant the plan has no filter, so an index-only scan can count.
            total := (SELECT count(*) FROM tasks_api.matching(whose, '{}'));
        ELSE
            total := (SELECT count(*) FROM tasks_api.matching(whose, filters));
        END IF;
    END IF;
    beside := CASE WHEN query ? 'sort' THEN jsonb_build_object('count', total, 'last', last)
        ELSE jsonb_build_object('count', total) END;
END
$$;


CREATE OR REPLACE FUNCTION tasks_api.create_task(owner text, given jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
    fields jsonb := tasks_api.defaults() || given;
    new_tags text[] := '{}';
    new_folded text[] := '{}';
    new_tags_folded text[];
    answer text;
BEGIN
    IF tasks_api.may_set(fields) IS NOT true THEN
        RAISE invalid_parameter_value USING MESSAGE = 'create_task: an unknown field, or of a wrong type';
    END IF;
    IF fields -> 'tags' <> '[]' THEN
        new_tags := tasks_api.texts(fields -> 'tags');
        new_tags_folded := public.tasks_fold(new_tags);
    END IF;
    IF octet_length(given::text) > length(given::text) THEN
        new_folded := public.tasks_fold(fields ->> 'title', fields ->> 'description');
    END IF;

    INSERT INTO public.tasks_task AS task
        (user_id, title, description, complete, priority, due_day, due_at, tags, folded, tags_folded,
        created_at, updated_at)
    VALUES (
        whose, fields ->> 'title', fields ->> 'description',
        (fields -> 'complete')::boolean, fields ->> 'priority',
        tasks_api.day_of(fields ->> 'due_date'), tasks_api.time_of(fields ->> 'due_date'),
        new_tags, new_folded, new_tags_folded,
        statement_timestamp(), statement_timestamp()
    )
    RETURNING tasks_api.json_of(task) INTO answer;
    RETURN answer;
END
$$;


-- NULL if this owner has no such task, as in all functions below.
CREATE OR REPLACE FUNCTION tasks_api.read_task(owner text, task bigint) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
BEGIN
    RETURN (
        SELECT tasks_api.json_of(stored) FROM public.tasks_task AS stored
        WHERE stored.id = task AND stored.user_id = whose AND stored.deleted_at IS NULL
    );
END
$$;


-- Missing fields stay as they are. The trigger of the table sets the times.
CREATE OR REPLACE FUNCTION tasks_api.change_task(owner text, task bigint, given jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
    new_tags text[] := '{}';
    answer text;
BEGIN
    IF tasks_api.may_set(given) IS NOT true THEN
        RAISE invalid_parameter_value USING MESSAGE = 'change_task: an unknown field, or of a wrong type';
    END IF;
    IF given -> 'tags' <> '[]' THEN
        new_tags := tasks_api.texts(given -> 'tags');
    END IF;

    UPDATE public.tasks_task AS stored SET
        title = coalesce(given ->> 'title', stored.title),
        description = CASE WHEN given ? 'description'
            THEN given ->> 'description' ELSE stored.description END,
        complete = coalesce((given -> 'complete')::boolean, stored.complete),
        priority = coalesce(given ->> 'priority', stored.priority),
        due_day = CASE WHEN given ? 'due_date'
            THEN tasks_api.day_of(given ->> 'due_date') ELSE stored.due_day END,
        due_at = CASE WHEN given ? 'due_date'
            THEN tasks_api.time_of(given ->> 'due_date') ELSE stored.due_at END,
        tags = CASE WHEN given ? 'tags' THEN new_tags ELSE stored.tags END
    WHERE stored.id = task AND stored.user_id = whose AND stored.deleted_at IS NULL
    RETURNING tasks_api.json_of(stored) INTO answer;
    RETURN answer;
END
$$;


-- Missing fields return to their defaults.
CREATE OR REPLACE FUNCTION tasks_api.replace_task(owner text, task bigint, given jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN tasks_api.change_task(owner, task, tasks_api.defaults() || given);
END
$$;


-- True for exactly one of several parallel deletes. The row stays, so that staff can restore it.
CREATE OR REPLACE FUNCTION tasks_api.trash_task(owner text, task bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
BEGIN
    UPDATE public.tasks_task AS stored SET deleted_at = statement_timestamp()
    WHERE stored.id = task AND stored.user_id = whose AND stored.deleted_at IS NULL;
    RETURN nullif(found, false);
END
$$;


-- The same, if nothing is kept.
CREATE OR REPLACE FUNCTION tasks_api.delete_task(owner text, task bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    whose text NOT NULL := nullif(owner, '');
BEGIN
    DELETE FROM public.tasks_task AS stored
    WHERE stored.id = task AND stored.user_id = whose AND stored.deleted_at IS NULL;
    RETURN nullif(found, false);
END
$$;
