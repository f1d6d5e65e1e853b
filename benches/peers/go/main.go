// The peer of the cost bench: queries in a loop with beevik/ntp, and a CSV line for each.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"

	"github.com/beevik/ntp"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: peer FILE EXCHANGES PORT <ADDRESSES")
		os.Exit(2)
	}
	exchanges, _ := strconv.Atoi(os.Args[2])
	port, _ := strconv.Atoi(os.Args[3])
	var addresses []string
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		addresses = append(addresses, lines.Text())
	}
	csv, err := os.Create(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for i := 0; i < exchanges; i++ {
		address := addresses[i%len(addresses)]
		reply, err := ntp.QueryWithOptions(address, ntp.QueryOptions{Port: port})
		if err != nil {
			fmt.Fprintln(os.Stderr, address, err)
			os.Exit(1)
		}
		fmt.Fprintf(csv, "bench,%s,sample,%v,%v,%d\n", address, reply.ClockOffset.Seconds(), reply.RTT.Seconds(), reply.Stratum)
	}
}
