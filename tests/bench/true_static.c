/* A program that needs no dynamic linking: what remains is the cost of starting it. */
int main(void)
{
    return 0;
}
