// Command compose-config prints a compose.yaml as Docker Compose understands it, in JSON: `docker compose config`,
// without Docker. The settings of the file .env beside it are put in; anything wrong ends it with a message.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions(os.Args[1:], cli.WithOsEnv, cli.WithEnvFiles(), cli.WithDotEnv,
		cli.WithProfiles([]string{"*"}))
	end(err)
	project, err := options.LoadProject(context.Background())
	end(err)
	text, err := project.MarshalJSON()
	end(err)
	fmt.Println(string(text))
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
