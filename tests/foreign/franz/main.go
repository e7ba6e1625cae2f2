// Every call of a client of schema registries, against the one whose URL is given; a line for each.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

const first = `{"type":"record","name":"Noted","fields":[{"name":"text","type":"string"}]}`
const second = `{"type":"record","name":"Noted","fields":[{"name":"text","type":"string"},{"name":"by","type":"string","default":""}]}`
const broken = `{"type":"record","name":"Noted","fields":[{"name":"text","type":"int"}]}`

func words(values ...any) string { return strings.TrimSuffix(fmt.Sprintln(values...), "\n") }

func main() {
	ctx := context.Background()
	client, err := sr.NewClient(sr.URLs(os.Args[1]), sr.DefaultParams(sr.Verbose))
	say := func(what string, value any, err error) { fmt.Printf("%s\t%v\t%v\n", what, value, err) }
	say("client", nil, err)
	types, err := client.SupportedTypes(ctx)
	say("types", types, err)
	one, err := client.CreateSchema(ctx, "notes", sr.Schema{Schema: first})
	say("create", words(one.Subject, one.Version, one.ID), err)
	two, err := client.CreateSchema(ctx, "notes", sr.Schema{Schema: second})
	say("create again", words(two.Subject, two.Version, two.ID), err)
	_, err = client.CreateSchema(ctx, "notes", sr.Schema{Schema: broken})
	say("create broken", nil, err)
	checked, err := client.CheckCompatibility(ctx, "notes", -1, sr.Schema{Schema: broken})
	say("check", checked, err)
	checked, err = client.CheckCompatibility(ctx, "notes", -2, sr.Schema{Schema: second})
	say("check all", checked, err)
	found, err := client.LookupSchema(ctx, "notes", sr.Schema{Schema: first})
	say("lookup", words(found.Subject, found.Version, found.ID), err)
	uses, err := client.CreateSchema(ctx, "a/b", sr.Schema{Schema: `["null","Noted"]`, References: []sr.SchemaReference{{Name: "Noted", Subject: "notes", Version: 1}}})
	say("refers", words(uses.Subject, uses.Version, uses.ID), err)
	byID, err := client.SchemaByID(ctx, 1)
	say("by id", byID.Schema, err)
	text, err := client.SchemaTextByID(ctx, 1)
	say("text by id", text, err)
	subjects, err := client.Subjects(ctx)
	say("subjects", subjects, err)
	ofID, err := client.SubjectsByID(ctx, 1)
	say("subjects by id", ofID, err)
	versionsOf, err := client.SchemaVersionsByID(ctx, 1)
	say("versions by id", versionsOf, err)
	usages, err := client.SchemaUsagesByID(ctx, 1)
	say("usages by id", len(usages), err)
	versions, err := client.SubjectVersions(ctx, "notes")
	say("versions", versions, err)
	latest, err := client.SchemaByVersion(ctx, "notes", -1)
	say("latest", words(latest.Subject, latest.Version, latest.ID), err)
	text, err = client.SchemaTextByVersion(ctx, "notes", 1)
	say("text by version", text, err)
	all, err := client.AllSchemas(ctx)
	say("all", len(all), err)
	mine, err := client.Schemas(ctx, "notes")
	say("schemas", len(mine), err)
	references, err := client.SchemaReferences(ctx, "notes", 1)
	say("references", len(references), err)
	for _, each := range client.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFull}, "notes") {
		say("set level", words(each.Subject, each.Level), each.Err)
	}
	for _, each := range client.Compatibility(ctx, "notes", sr.GlobalSubject) {
		say("level", words(each.Subject, each.Level), each.Err)
	}
	for _, each := range client.ResetCompatibility(ctx, "notes") {
		say("reset level", words(each.Subject, each.Level), each.Err)
	}
	for _, each := range client.SetMode(ctx, sr.ModeReadOnly, "notes") {
		say("set mode", words(each.Subject, each.Mode), each.Err)
	}
	for _, each := range client.Mode(ctx, "notes", sr.GlobalSubject) {
		say("mode", words(each.Subject, each.Mode), each.Err)
	}
	for _, each := range client.ResetMode(ctx, "notes") {
		say("reset mode", words(each.Subject, each.Mode), each.Err)
	}
	guid, err := client.SchemaByGUID(ctx, one.GUID)
	say("by guid", guid.Schema.Schema, err)
	ids, err := client.SchemaIDsByGUID(ctx, one.GUID)
	say("ids by guid", ids, err)
	contexts, err := client.Contexts(ctx)
	say("contexts", contexts, err)
	say("delete version soft", nil, client.DeleteSchema(ctx, "a/b", 1, sr.SoftDelete))
	say("delete version hard", nil, client.DeleteSchema(ctx, "a/b", 1, sr.HardDelete))
	gone, err := client.DeleteSubject(ctx, "notes", sr.SoftDelete)
	say("delete soft", gone, err)
	gone, err = client.DeleteSubject(ctx, "notes", sr.HardDelete)
	say("delete hard", gone, err)
	_, err = client.SchemaByID(ctx, 9999)
	say("unknown", nil, err)
}
